"""DPM-Solver++(2M) and (3M)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.schedule import TimestepGrid
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span, lowered_order

Midpoint = Literal["midpoint", "heun"]
"""How the second-order term is weighed: as at the middle of the step, or integrated along a straight line."""


@dataclass(frozen=True)
class DpmPpMultistep(Solver):
    """Lu et al. 2022, arXiv:2211.01095, algorithm 2 (order 2) and appendix B (the Taylor expansion of order 3), in
    lambda = log(alpha / sigma). `lowered_order` says where the order is lower.
    """

    steps_back: Literal[2, 3] = 2
    """How many outputs a step looks at."""
    second: Midpoint = "midpoint"

    grid: ClassVar[TimestepGrid] = "whole_extra"

    @property
    def order(self) -> int:
        return 2  # With 3 outputs too: the first step is of first order, and its error remains.

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        denoised = denoise(x, sigma_for(x, span.sigma))
        order = lowered_order(self.steps_back, span, len(state.outputs) + 1)
        after = span.kept * x + self._estimate(order, denoised, span, state)
        return after, state.remember(denoised, span.sigma, keep=self.steps_back - 1)

    def _estimate(self, order: int, denoised: Tensor, span: Span, state: SolverState) -> Tensor:
        """What x0 contributes to the step."""
        if order == 1:
            return span.gained * denoised
        first, second = derivatives(order, denoised, span, state)
        if order == 2 and self.second == "midpoint":
            return span.gained * (denoised + 0.5 * first)
        return span.gained * denoised + span.alpha_next * curvature(span.width, first, second)


def curvature(h: float, first: Tensor, second: Tensor | None) -> Tensor:
    """What the derivatives of x0 add to a step of length h, by integration of their Taylor expansion against e^-h."""
    added = (math.expm1(-h) / h + 1) * first
    return added if second is None else added - ((math.expm1(-h) + h) / h**2 - 0.5) * second


def derivatives(order: int, denoised: Tensor, span: Span, state: SolverState) -> tuple[Tensor, Tensor | None]:
    """Divided differences of the outputs in lambda, in units of the step: the first derivative, and the second at order
    3.
    """
    h, before = span.width, span.width_from(state.sigmas[-1])
    newest = (denoised - state.outputs[-1]) * (h / before)
    if order == 2:
        return newest, None
    earlier = span.since(state.sigmas[-1]).width_from(state.sigmas[-2])
    change = newest - (state.outputs[-1] - state.outputs[-2]) * (h / earlier)
    share = h / (before + earlier)
    return newest + (before / h) * share * change, share * change
