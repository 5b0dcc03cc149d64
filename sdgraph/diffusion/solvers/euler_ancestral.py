"""Euler's method with ancestral noise."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser
from sdgraph.diffusion.solvers.ancestral import divided
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span
from sdgraph.diffusion.solvers.slope import slope


@dataclass(frozen=True)
class EulerAncestral(Solver):
    """An Euler step below the next sigma, then fresh noise up to it; see `ancestral.divided`."""

    @property
    def order(self) -> int:
        return 1

    @property
    def stochastic(self) -> bool:
        return True

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        parts = divided(span)
        x = x + slope(denoise, x, span.sigma) * (parts.down - span.sigma)
        return (parts.scale * x + noise() * parts.up if parts.up > 0 else x), state
