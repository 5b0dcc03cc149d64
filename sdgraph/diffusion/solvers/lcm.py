"""Multistep consistency sampling for latent consistency models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.schedule import TimestepGrid
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span

_SIGMA_DATA = 0.5
_TIMESTEP_SCALING = 10.0


@dataclass(frozen=True)
class Lcm(Solver):
    """Luo et al. 2023, arXiv:2310.04378, algorithm 3: jump to x0, then add fresh noise up to the next sigma.

    For flow matching the jump is the estimate of x0 itself, as in diffusers' `FlowMatchLCMScheduler`.
    """

    grid: ClassVar[TimestepGrid] = "lcm"

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
        if span.schedule.path != "flow":
            denoised = _bounded(denoised, x, span)
        return (span.alpha_next * denoised + span.sigma_next * noise() if span.sigma_next > 0 else denoised), state


def _bounded(denoised: Tensor, x: Tensor, span: Span) -> Tensor:
    """With the boundary condition of consistency models: at timestep 0 the answer is x itself (section 4.1)."""
    scaled = span.timestep * _TIMESTEP_SCALING
    skip = _SIGMA_DATA**2 / (scaled**2 + _SIGMA_DATA**2)
    out = scaled / (scaled**2 + _SIGMA_DATA**2) ** 0.5
    return out * denoised + skip * (x / (span.sigma**2 + 1) ** 0.5)
