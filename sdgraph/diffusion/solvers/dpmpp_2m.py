"""DPM-Solver++(2M)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.sigmas import TimestepGrid
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span


@dataclass(frozen=True)
class DpmPp2M(Solver):
    """Lu et al. 2022, arXiv:2211.01095, algorithm 2, in lambda = -log sigma and divided by alpha.

    The first step and the last of the trajectory are of first order; so is the last one in diffusers whenever it ends
    at sigma 0, and in up to 14 steps otherwise.
    """

    order: ClassVar[int] = 2
    grid: ClassVar[TimestepGrid] = "whole_extra"

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        denoised = denoise(x, sigma_for(x, span.sigma))
        estimate = denoised
        if state.outputs and not span.last and span.sigma_next > 0:
            width = math.log(span.sigma / span.sigma_next)
            width_before = math.log(state.sigmas[-1] / span.sigma)
            estimate = denoised + (denoised - state.outputs[-1]) * (0.5 * width / width_before)
        kept = span.sigma_next / span.sigma
        return kept * x + (1 - kept) * estimate, state.remember(denoised, span.sigma, keep=1)
