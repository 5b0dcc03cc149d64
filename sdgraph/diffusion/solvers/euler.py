"""Euler's method on the probability flow ODE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span


@dataclass(frozen=True)
class Euler(Solver):
    """Karras et al. 2022, arXiv:2206.00364, algorithm 1 without its second evaluation."""

    order: ClassVar[int] = 1

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        derivative = (x - denoise(x, sigma_for(x, span.sigma))) / span.sigma
        return x + derivative * (span.sigma_next - span.sigma), state
