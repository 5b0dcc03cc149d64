"""Frequency-decoupled guidance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from sdgraph.diffusion.guidance import Guided
from sdgraph.diffusion.guiders.pair import Pair, PairGuider

C = TypeVar("C")

_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


@dataclass(frozen=True, eq=False)
class FrequencyDecoupled(PairGuider[C]):
    """Guidance with less strength for coarse structure than for detail.

    Sadat et al. 2025, arXiv:2506.19713, section 4: the direction `cond - uncond` is split by a Laplacian pyramid; its
    coarsest level has the scale 1 + low (scale - 1), the others `scale`. With low 1 it is plain guidance.
    """

    low: float = 0.5
    levels: int = 2

    def combine(self, pair: Pair) -> Guided:
        """cond + (scale - 1) * (detail + low * coarse) of the direction; the pyramid is linear."""
        direction = pair.cond - pair.uncond
        coarse = coarsest(direction, self.levels)
        return Guided(pair.cond + (pair.scale - 1) * (direction - (1 - self.low) * coarse), nfe=2)


def coarsest(field: Tensor, levels: int) -> Tensor:
    """What the coarsest of `levels` levels of a Laplacian pyramid holds of `field` [B, C, h, w], in its size.

    Levels stop where a side has one value left (Burt & Adelson 1983).
    """
    if levels == 1 or min(field.shape[2:]) < 2:
        return field
    smaller = coarsest(_smooth(field)[..., ::2, ::2], levels - 1)
    return torch.nn.functional.interpolate(smaller, size=field.shape[2:], mode="bilinear", align_corners=False)


def _smooth(field: Tensor) -> Tensor:
    """A binomial blur [1 4 6 4 1] / 16 along both sides, edges repeated."""
    weights = torch.tensor(_BINOMIAL, dtype=field.dtype, device=field.device)
    channels = field.shape[1]
    padded = torch.nn.functional.pad(field, (2, 2, 2, 2), mode="replicate")
    across = torch.conv2d(padded, weights.reshape(1, 1, 1, 5).expand(channels, 1, 1, 5), groups=channels)
    return torch.conv2d(across, weights.reshape(1, 1, 5, 1).expand(channels, 1, 5, 1), groups=channels)
