"""CFG-Zero*."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from sdgraph.diffusion.guidance import FIRST_STEP, Guided, StepContext
from sdgraph.diffusion.guiders.pair import Pair, PairGuider, inner

C = TypeVar("C")


@dataclass(frozen=True, eq=False)
class CfgZeroStar(PairGuider[C]):
    """Guidance from the multiple of the unconditional prediction that is nearest to the conditional one.

    v = s v_uncond + scale (v_cond - s v_uncond), and v = 0 in the first steps (Fan et al. 2025, arXiv:2503.18886,
    algorithm 1). Works on what the network predicts; a zero prediction needs no network. The paper is about flow
    models; for others leave `zero_init_steps` at 0.
    """

    zero_init_steps: int = 1

    def guide(self, x: Tensor, sigma: Tensor, scale: float, at: StepContext = FIRST_STEP) -> Guided:
        """The guided denoised latents [B, C, h, w]."""
        if at.step < self.zero_init_steps:
            return Guided(self.model.from_prediction(torch.zeros_like(x), x, sigma), nfe=0)
        return super().guide(x, sigma, scale, at)

    def evaluations(self, scale: float, at: StepContext = FIRST_STEP) -> int:
        """None while the latents keep still."""
        return 0 if at.step < self.zero_init_steps else super().evaluations(scale, at)

    def combine(self, pair: Pair) -> Guided:
        """Equation 8 of the paper for s, then guidance."""
        uncond = self.model.to_prediction(pair.uncond, pair.x, pair.sigma)
        cond = self.model.to_prediction(pair.cond, pair.x, pair.sigma)
        uncond = fitted(uncond, cond)
        guided = uncond + pair.scale * (cond - uncond)
        return Guided(self.model.from_prediction(guided, pair.x, pair.sigma), nfe=2)


def fitted(uncond: Tensor, cond: Tensor) -> Tensor:
    """The projection of each picture's `cond` on its `uncond`; both [B, C, h, w]."""
    return uncond * (inner(cond, uncond) / (inner(uncond, uncond) + 1e-8)).to(uncond.dtype)
