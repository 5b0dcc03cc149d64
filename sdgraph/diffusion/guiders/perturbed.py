"""Guidance away from the same network with damaged self-attention: PAG, SLG and SEG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from torch import Tensor

from sdgraph.diffusion.guidance import (
    FIRST_STEP,
    ClassifierFreeGuidance,
    Guided,
    PerturbableModel,
    StepContext,
    selected,
)
from sdgraph.diffusion.guider_specs import PagSpec, SegSpec, SlgSpec

C = TypeVar("C")


@dataclass(frozen=True, eq=False)
class PerturbedGuidance(Generic[C]):
    """denoised = guided + perturbed_scale * (cond - cond of the perturbed network).

    The spec says what is done to the network:
    PAG (Ahn et al. 2024, arXiv:2403.17377, equation 16) makes self-attention the identity,
    SEG (Hong 2024, arXiv:2408.00760, section 3) blurs its queries,
    SLG (the skip layer guidance of Stable Diffusion 3.5) leaves whole blocks out.
    Where the perturbation does not act, this is plain guidance bit for bit and at no extra cost.
    """

    model: PerturbableModel[C]
    cond: C
    uncond: C
    spec: PagSpec | SegSpec | SlgSpec

    def guide(self, x: Tensor, sigma: Tensor, scale: float, at: StepContext = FIRST_STEP) -> Guided:
        """The guided denoised latents [B, C, h, w]."""
        if not self.spec.acts_at(at.progress):
            return ClassifierFreeGuidance(self.model, self.cond, self.uncond).guide(x, sigma, scale, at)
        if scale == 1:
            (cond,) = self.model.denoise(x, sigma, (self.cond,))
            guided = cond
        else:
            uncond, cond = self.model.denoise(x, sigma, (self.uncond, self.cond))
            guided = uncond + scale * (cond - uncond)
        with self.model.perturbed(self.spec.perturbation()):
            (worse,) = self.model.denoise(x, sigma, (self.cond,))
        return Guided(guided + self.spec.scale * (cond - worse), nfe=self.evaluations(scale, at))

    def select(self, items: Sequence[int]) -> PerturbedGuidance[C]:
        """The guider for some items of its batch only."""
        return replace(self, model=selected(self.model, items))

    def evaluations(self, scale: float, at: StepContext = FIRST_STEP) -> int:
        """Those of plain guidance, and one more where the perturbation acts."""
        if not self.spec.acts_at(at.progress):
            return 1 if scale in (0.0, 1.0) else 2
        return 2 if scale == 1 else 3
