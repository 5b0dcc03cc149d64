"""Heun's method on the probability flow ODE."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span
from sdgraph.diffusion.solvers.slope import slope


@dataclass(frozen=True)
class Heun(Solver):
    """Karras et al. 2022, arXiv:2206.00364, algorithm 1: two evaluations a step, one for the step to sigma 0."""

    @property
    def order(self) -> int:
        return 2

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        here = slope(denoise, x, span.sigma)
        width = span.sigma_next - span.sigma
        ahead = x + here * width
        if span.sigma_next == 0:
            return ahead, state
        return x + (here + slope(denoise, ahead, span.sigma_next)) / 2 * width, state
