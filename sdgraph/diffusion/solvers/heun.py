"""Heun's method on the probability flow ODE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span


@dataclass(frozen=True)
class Heun(Solver):
    """Karras et al. 2022, arXiv:2206.00364, algorithm 1: two evaluations a step, one for the step to sigma 0."""

    order: ClassVar[int] = 2

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        slope = (x - denoise(x, sigma_for(x, span.sigma))) / span.sigma
        width = span.sigma_next - span.sigma
        ahead = x + slope * width
        if span.sigma_next == 0:
            return ahead, state
        slope_ahead = (ahead - denoise(ahead, sigma_for(x, span.sigma_next))) / span.sigma_next
        return x + (slope + slope_ahead) / 2 * width, state
