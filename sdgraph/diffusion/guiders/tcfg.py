"""Tangential damping classifier-free guidance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from sdgraph.diffusion.guidance import Guided
from sdgraph.diffusion.guiders.pair import Pair, PairGuider

C = TypeVar("C")


@dataclass(frozen=True, eq=False)
class TangentialDamping(PairGuider[C]):
    """Guidance from the unconditional prediction without its part that the conditional one does not share.

    Kwon et al. 2025, arXiv:2503.18137, algorithm 1: of the two singular vectors of (cond, uncond) only the first, which
    points where both do, is kept in uncond. Works on what the network predicts.
    """

    def combine(self, pair: Pair) -> Guided:
        """Guidance with the damped unconditional prediction."""
        cond = self.model.to_prediction(pair.cond, pair.x, pair.sigma)
        uncond = damped(self.model.to_prediction(pair.uncond, pair.x, pair.sigma), cond)
        guided = uncond + pair.scale * (cond - uncond)
        return Guided(self.model.from_prediction(guided, pair.x, pair.sigma), nfe=2)


def damped(uncond: Tensor, cond: Tensor) -> Tensor:
    """Each picture's `uncond` projected on the first right singular vector of (cond, uncond); both [B, C, h, w].

    The vector comes from the 2 x 2 matrix of inner products, which has the same singular vectors.
    """
    rows = torch.stack([cond, uncond], dim=1).flatten(2).double()
    _, vectors = torch.linalg.eigh(rows @ rows.transpose(1, 2))
    first = vectors[:, None, :, 1] @ rows
    share = (first * rows[:, 1:]).sum(-1, keepdim=True) / first.square().sum(-1, keepdim=True).clamp(min=1e-24)
    return (share * first).reshape(uncond.shape).to(uncond.dtype)
