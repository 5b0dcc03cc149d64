"""DPM-Solver++(2M)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.schedule import TimestepGrid
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span


@dataclass(frozen=True)
class DpmPp2M(Solver):
    """Lu et al. 2022, arXiv:2211.01095, algorithm 2, in lambda = log(alpha / sigma).

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
            change = denoised - state.outputs[-1]
            estimate = denoised + change * (0.5 * span.width / span.width_from(state.sigmas[-1]))
        return span.kept * x + span.gained * estimate, state.remember(denoised, span.sigma, keep=1)
