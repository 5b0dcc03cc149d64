"""FLUX.1's tokens: each 2x2 patch of latents is one, with its place beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def pack(x: Tensor) -> Tensor:
    """[B, C, h, w] -> [B, h/2 * w/2, C*4]: each 2x2 patch as one token."""
    b, c, h, w = x.shape
    return x.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(b, (h // 2) * (w // 2), c * 4)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """[B, h/2 * w/2, C*4] -> [B, C, h, w]; the inverse of `pack`."""
    b, _, c = tokens.shape
    patches = tokens.reshape(b, height // 2, width // 2, c // 4, 2, 2)
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(b, c // 4, height, width)


def patch_places(x: Tensor) -> Tensor:
    """[h/2 * w/2, 3]: 0, row and column of each patch of latents [B, C, h, w]."""
    import torch

    rows, columns = (torch.arange(side // 2, device=x.device, dtype=x.dtype) for side in x.shape[-2:])
    row, column = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([torch.zeros_like(row), row, column], dim=-1).reshape(-1, 3)
