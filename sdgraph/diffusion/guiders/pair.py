"""What guiders share that combine a conditional and an unconditional answer in a way of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from torch import Tensor

from sdgraph.diffusion.guidance import FIRST_STEP, Guided, StepContext, selected
from sdgraph.diffusion.model import Model

C = TypeVar("C")


@dataclass(frozen=True, eq=False)
class PairGuider(ABC, Generic[C]):
    """Asks for (uncond, cond) in one forward and combines them; a scale of 1 is the conditional answer alone."""

    model: Model[C]
    cond: C
    uncond: C

    def guide(self, x: Tensor, sigma: Tensor, scale: float, at: StepContext = FIRST_STEP) -> Guided:
        """The guided denoised latents [B, C, h, w]."""
        if scale == 1:
            return Guided(self.model.denoise(x, sigma, (self.cond,))[0], nfe=1, memory=at.memory)
        uncond, cond = self.model.denoise(x, sigma, (self.uncond, self.cond))
        return self.combine(Pair(x, sigma, uncond, cond, scale, at))

    def select(self, items: Sequence[int]) -> PairGuider[C]:
        """The guider for some items of its batch only."""
        return replace(self, model=selected(self.model, items))

    def evaluations(self, scale: float, at: StepContext = FIRST_STEP) -> int:
        """One at a scale of 1, otherwise two."""
        return 1 if scale == 1 else 2

    @abstractmethod
    def combine(self, pair: Pair) -> Guided:
        """The guided answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """What one evaluation knows."""

    x: Tensor
    """[B, C, h, w], noisy."""
    sigma: Tensor
    """[B]."""
    uncond: Tensor
    """[B, C, h, w], denoised."""
    cond: Tensor
    """[B, C, h, w], denoised."""
    scale: float
    at: StepContext


def inner(a: Tensor, b: Tensor) -> Tensor:
    """The inner product of each picture of `a` with that of `b`, [B, ...] -> [B, 1, ...], in float64."""
    return (a.double() * b.double()).sum(dim=tuple(range(1, a.dim())), keepdim=True)
