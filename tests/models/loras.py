"""LoRA files with random numbers, in the formats that training tools write."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

Tensors = dict[str, Tensor]
SIZE = 0.1
"""Spread of the factors' numbers: large enough that every picture changes."""


def layers(network: nn.Module, *, ends: tuple[str, ...] = ("",), convolutions: bool = True) -> dict[str, nn.Module]:
    """The linear layers (and convolutions) of a network whose names end so."""
    kinds = (nn.Linear, nn.Conv2d) if convolutions else (nn.Linear,)
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, kinds) and name.endswith(ends)}


def factors(layer: nn.Module, rank: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """`down` and `up` for a layer: [r, in, ...] and [out, r, ...]."""
    rows, *columns = layer.get_parameter("weight").shape
    ones = [1] * (len(columns) - 1)
    down = SIZE * torch.randn(rank, *columns, generator=generator)
    return down, SIZE * torch.randn(rows, rank, *ones, generator=generator)


def kohya(prefix: str, found: Mapping[str, nn.Module], *, rank: int = 3, alpha: float = 2.0, seed: int = 0) -> Tensors:
    """As kohya's scripts write it."""
    generator, tensors = torch.Generator().manual_seed(seed), Tensors()
    for name, layer in found.items():
        key = prefix + name.replace(".", "_")
        down, up = factors(layer, rank, generator)
        tensors |= {
            f"{key}.lora_down.weight": down,
            f"{key}.lora_up.weight": up,
            f"{key}.alpha": torch.tensor(alpha),
        }
    return tensors


def peft(prefix: str, found: Mapping[str, nn.Module], *, rank: int = 3, seed: int = 0) -> Tensors:
    """As diffusers writes PEFT's."""
    generator, tensors = torch.Generator().manual_seed(seed), Tensors()
    for name, layer in found.items():
        down, up = factors(layer, rank, generator)
        tensors |= {f"{prefix}{name}.lora_A.weight": down, f"{prefix}{name}.lora_B.weight": up}
    return tensors


def with_magnitudes(tensors: Tensors, found: Mapping[str, nn.Module], key: str, seed: int = 5) -> Tensors:
    """DoRA: a magnitude per output row for every layer, near the row's own norm; `key` is a format string."""
    generator = torch.Generator().manual_seed(seed)
    grown = dict(tensors)
    for name, layer in found.items():
        weight = layer.get_parameter("weight").detach().flatten(1)
        noise = 1 + SIZE * torch.randn(len(weight), generator=generator)
        grown[key.format(name.replace(".", "_"), name)] = weight.norm(dim=1) * noise
    return grown


def write(path: Path, tensors: Tensors, **metadata: object) -> Path:
    """A safetensors file; metadata that are no text are written as JSON."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, str(path), texts)
    return path


def width(shape: Iterable[int]) -> int:
    """Numbers per row of a weight."""
    return prod(list(shape)[1:])
