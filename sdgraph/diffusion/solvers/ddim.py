"""DDIM: implicit sampling, with as much ancestral noise as wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.schedule import TimestepGrid
from sdgraph.diffusion.solvers.ancestral import ancestral_noise
from sdgraph.diffusion.solvers.contract import Ending, Noise, Solver, SolverState, Span


@dataclass(frozen=True)
class Ddim(Solver):
    """Song et al. 2021, arXiv:2010.02502, equations 12 and 16, divided by sqrt(alpha_cumprod).

    diffusers takes the previous timestep to be T // N earlier, whatever comes next; here it is the next one. The two
    agree where the spacing is even (leading, and trailing when N divides T).
    """

    eta: float = 0.0
    """0: deterministic; 1: as much noise as DDPM."""

    grid: ClassVar[TimestepGrid] = "whole"
    ending: ClassVar[Ending] = "alpha_to_one"

    @property
    def order(self) -> int:
        return 1

    @property
    def stochastic(self) -> bool:
        return self.eta > 0

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        added = self.eta * ancestral_noise(span.sigma, span.sigma_next)
        denoised = denoise(x, sigma_for(x, span.sigma))
        direction = (x - denoised) / span.sigma
        x = denoised + (span.sigma_next**2 - added**2) ** 0.5 * direction
        return (x + added * noise() if added > 0 else x), state
