"""The LoRA of each model: the one that ships with `builtin:shapes`, for others one with seeded random weights."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

SHIPPED = {"builtin:shapes": "builtin:shapes/lora_neon"}
_RANK, _SCALE, _SEED = 4, 0.1, 5
_LAYERS = ("to_q", "to_k", "to_v", "to_out.0")


@cache
def lora_of(source: str) -> str:
    """The reference of a LoRA for the model `source`: on the attention of its denoiser, in PEFT's names."""
    if source in SHIPPED:
        return SHIPPED[source]
    from benchmarks.parity_pipelines import parts_of

    parts = parts_of(source)
    component = "unet" if "unet" in parts else "transformer"
    path = Path(_folder()) / f"{source.partition(':')[2]}.safetensors"
    save_file(_weights(component, parts[component]), path)
    return str(path)


def _weights(component: str, denoiser: Any) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(_SEED)
    found: dict[str, torch.Tensor] = {}
    for name, layer in denoiser.named_modules():
        if name.endswith(_LAYERS) and isinstance(layer, torch.nn.Linear):
            down, up = (_RANK, layer.in_features), (layer.out_features, _RANK)
            found[f"{component}.{name}.lora_A.weight"] = _SCALE * torch.randn(down, generator=random)
            found[f"{component}.{name}.lora_B.weight"] = _SCALE * torch.randn(up, generator=random)
    return found


@cache
def _folder() -> str:
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
