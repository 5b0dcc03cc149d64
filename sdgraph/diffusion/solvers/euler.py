"""Euler's method on the probability flow ODE."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span
from sdgraph.diffusion.solvers.slope import slope


@dataclass(frozen=True)
class Euler(Solver):
    """Karras et al. 2022, arXiv:2206.00364, algorithm 1 without its second evaluation."""

    @property
    def order(self) -> int:
        return 1

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        return x + slope(denoise, x, span.sigma) * (span.sigma_next - span.sigma), state
