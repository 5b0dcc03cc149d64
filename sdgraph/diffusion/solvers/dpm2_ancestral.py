"""DPM-Solver-2 with ancestral noise."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser
from sdgraph.diffusion.solvers.ancestral import divided
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span
from sdgraph.diffusion.solvers.dpm2 import midpoint_step


@dataclass(frozen=True)
class Dpm2Ancestral(Solver):
    """A step of `dpm2` below the next sigma, then fresh noise up to it; see `ancestral.divided`."""

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
        x = midpoint_step(denoise, x, span.sigma, parts.down)
        return (x + noise() * parts.up if parts.up > 0 else x), state
