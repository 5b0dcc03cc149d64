"""Adaptive projected guidance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from sdgraph.diffusion.guidance import Guided
from sdgraph.diffusion.guiders.pair import Pair, PairGuider, inner

C = TypeVar("C")


@dataclass(frozen=True, eq=False)
class AdaptiveProjectedGuidance(PairGuider[C]):
    """Large scales without over-saturation (Sadat et al. 2024, arXiv:2410.02416, algorithm 1).

    The direction `cond - uncond` of the denoised latents gets a running sum, a bound on its length, and loses a
    share of its part along `cond`. With eta 1, no threshold and no momentum it is plain guidance.
    """

    eta: float = 0.0
    norm_threshold: float = 15.0
    """0: none."""
    momentum: float = -0.5

    def combine(self, pair: Pair) -> Guided:
        """cond + (scale - 1) * the direction that is left; remembers the running sum."""
        direction = pair.cond - pair.uncond
        if self.momentum and pair.at.memory is not None:
            direction = direction + self.momentum * pair.at.memory
        memory = direction if self.momentum else None
        update = projected(shortened(direction, self.norm_threshold), pair.cond, self.eta)
        return Guided(pair.cond + (pair.scale - 1) * update, nfe=2, memory=memory)


def shortened(direction: Tensor, longest: float) -> Tensor:
    """`direction` [B, C, h, w] with each picture's norm at most `longest`; 0 leaves it as it is."""
    if not longest:
        return direction
    norm = inner(direction, direction).sqrt()
    return direction * (longest / norm.clamp(min=longest)).to(direction.dtype)


def projected(direction: Tensor, cond: Tensor, eta: float) -> Tensor:
    """The part of `direction` at right angles to `cond` plus `eta` of the part along it; both [B, C, h, w]."""
    if eta == 1:
        return direction
    along = cond * (inner(direction, cond) / inner(cond, cond).clamp(min=1e-24)).to(cond.dtype)
    return direction - along + eta * along
