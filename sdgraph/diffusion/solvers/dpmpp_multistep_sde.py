"""SDE-DPM-Solver++(2M) and (3M)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.schedule import TimestepGrid
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span, lowered_order
from sdgraph.diffusion.solvers.dpmpp_multistep import Midpoint, curvature, derivatives


@dataclass(frozen=True)
class DpmPpMultistepSde(Solver):
    """The diffusion SDE in place of the ODE: Lu et al. 2022, arXiv:2211.01095, section 5 (SDE-DPM-Solver++), with order
    3 by the same expansion. As `dpmpp_multistep`, with e^-2h for e^-h and fresh noise at every step.

    diffusers 0.42 has a sign wrong in the third-order term, which there does not vanish for small steps; this is the
    expansion, as k-diffusion has it.
    """

    steps_back: Literal[2, 3] = 2
    """How many outputs a step looks at."""
    second: Midpoint = "midpoint"

    grid: ClassVar[TimestepGrid] = "whole_extra"

    @property
    def order(self) -> int:
        return 1

    @property
    def stochastic(self) -> bool:
        return True

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        denoised = denoise(x, sigma_for(x, span.sigma))
        order = lowered_order(self.steps_back, span, len(state.outputs) + 1)
        after = span.kept * math.exp(-span.width) * x + self._estimate(order, denoised, span, state)
        after = after + span.sigma_next * math.sqrt(-math.expm1(-2 * span.width)) * noise()
        return after, state.remember(denoised, span.sigma, keep=self.steps_back - 1)

    def _estimate(self, order: int, denoised: Tensor, span: Span, state: SolverState) -> Tensor:
        """What x0 contributes to the step."""
        gained = -span.alpha_next * math.expm1(-2 * span.width)
        if order == 1:
            return gained * denoised
        first, second = derivatives(order, denoised, span, state)
        if order == 2 and self.second == "midpoint":
            return gained * (denoised + 0.5 * first)
        return gained * denoised + span.alpha_next * curvature(2 * span.width, first, second)
