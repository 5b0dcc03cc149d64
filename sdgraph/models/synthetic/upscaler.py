"""A tiny upscale model: what it adds to repeated pixels is random and small."""

from __future__ import annotations

from pathlib import Path

_WIDTH, _SCALE = 4, 2


def write_upscaler(folder: Path) -> None:
    """Write a folder with the weights of an `SRVGGNetCompact` (Real-ESRGAN's small network) that enlarges twice.

    A pixel of its result depends on the pixels up to three away.
    """
    import torch
    from safetensors.torch import save_file

    layers = [(0, 3, _WIDTH), (2, _WIDTH, _WIDTH), (4, _WIDTH, 3 * _SCALE**2)]
    tensors: dict[str, torch.Tensor] = {}
    for place, channels, made in layers:
        tensors[f"body.{place}.weight"] = 0.1 * torch.randn(made, channels, 3, 3)
        tensors[f"body.{place}.bias"] = torch.zeros(made)
        if place < layers[-1][0]:
            tensors[f"body.{place + 1}.weight"] = torch.full((made,), 0.25)
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
