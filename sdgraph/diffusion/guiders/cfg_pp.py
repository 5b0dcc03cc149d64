"""CFG++."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from torch import Tensor

from sdgraph.diffusion.guidance import FIRST_STEP, Guided, StepContext, selected
from sdgraph.diffusion.model import Model

C = TypeVar("C")


@dataclass(frozen=True, eq=False)
class CfgPlusPlus(Generic[C]):
    """Guided denoised latents, with the noise of the unconditional ones put back.

    Chung et al. 2024, arXiv:2406.08070, algorithm 2 (lines 4 to 6). The scale is the paper's lambda, 0..1: it moves
    from the unconditional to the conditional estimate. The step itself is that of the solver: see `renoised`.
    """

    model: Model[C]
    cond: C
    uncond: C

    def guide(self, x: Tensor, sigma: Tensor, scale: float, at: StepContext = FIRST_STEP) -> Guided:
        """The guided denoised latents [B, C, h, w], and the unconditional ones to renoise from."""
        if scale == 0:
            (uncond,) = self.model.denoise(x, sigma, (self.uncond,))
            return Guided(uncond, nfe=1, renoise=uncond)
        uncond, cond = self.model.denoise(x, sigma, (self.uncond, self.cond))
        return Guided(uncond + scale * (cond - uncond), nfe=2, renoise=uncond)

    def select(self, items: Sequence[int]) -> CfgPlusPlus[C]:
        """The guider for some items of its batch only."""
        return replace(self, model=selected(self.model, items))

    def evaluations(self, scale: float, at: StepContext = FIRST_STEP) -> int:
        """One at a scale of 0, otherwise two: the conditional answer alone has no noise to put back."""
        return 1 if scale == 0 else 2


def renoised(x: Tensor, guided: Guided, signal: float) -> Tensor:
    """The latents [B, C, h, w] from which a solver that steps by noise takes the step that CFG++ wants.

    Such a solver goes from `signal * denoised + sigma * noise` to the next sigma with the same denoised latents and
    noise. Moving x by `signal * (denoised - renoise)` leaves it the noise that `renoise` has. `signal` is the
    signal level at x: 1, or 1 - sigma for flow models.
    """
    return x if guided.renoise is None else x + signal * (guided.denoised - guided.renoise)
