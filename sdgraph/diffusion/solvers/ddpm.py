"""DDPM: ancestral sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.schedule import TimestepGrid
from sdgraph.diffusion.solvers.ancestral import ancestral_noise
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span


@dataclass(frozen=True)
class Ddpm(Solver):
    """Ho et al. 2020, arXiv:2006.11239, equations 6 and 7 (posterior mean and variance), with sigmas exploding.

    The mean weighs x by (sigma' / sigma)^2 and the estimate of x0 by the rest; any number of steps may be left out
    between two sigmas.
    """

    grid: ClassVar[TimestepGrid] = "whole"

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
        mean = denoised + span.kept**2 * (x - denoised)
        added = ancestral_noise(span.sigma, span.sigma_next)
        return (mean + added * noise() if added > 0 else mean), state
