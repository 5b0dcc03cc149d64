"""Autoguidance: guiding a model with a bad version of itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from torch import Tensor

from sdgraph.diffusion.guidance import FIRST_STEP, Guided, PerturbableModel, StepContext, selected
from sdgraph.diffusion.perturbation import Perturbation

C = TypeVar("C")


@dataclass(frozen=True, eq=False)
class AutoGuidance(Generic[C]):
    """denoised = weak + scale * (strong - weak), both under the same conditioning.

    Karras et al. 2024, arXiv:2406.02507, equation 3. The weak model is a smaller or less trained one; without one the
    model itself is weakened by `perturbation`. diffusers also drops the prompt of the weak answer; the paper does not.
    """

    model: PerturbableModel[C]
    cond: C
    weak: PerturbableModel[C]
    """A second model, or `model` again."""
    perturbation: Perturbation | None = None
    """What weakens `weak` while it answers."""

    def guide(self, x: Tensor, sigma: Tensor, scale: float, at: StepContext = FIRST_STEP) -> Guided:
        """The guided denoised latents [B, C, h, w]."""
        if scale == 1:
            return Guided(self.model.denoise(x, sigma, (self.cond,))[0], nfe=1)
        with nullcontext() if self.perturbation is None else self.weak.perturbed(self.perturbation):
            (weak,) = self.weak.denoise(x, sigma, (self.cond,))
        if scale == 0:
            return Guided(weak, nfe=1)
        (strong,) = self.model.denoise(x, sigma, (self.cond,))
        return Guided(weak + scale * (strong - weak), nfe=2)

    def select(self, items: Sequence[int]) -> AutoGuidance[C]:
        """The guider for some items of its batch only."""
        return replace(self, model=selected(self.model, items), weak=selected(self.weak, items))

    def evaluations(self, scale: float, at: StepContext = FIRST_STEP) -> int:
        """One at a scale of 0 or 1, otherwise one of each model."""
        return 1 if scale in (0.0, 1.0) else 2
