"""PNDM with its Runge-Kutta start (F-PNDM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser
from sdgraph.diffusion.schedule import TimestepGrid
from sdgraph.diffusion.solvers.adams_bashforth import combined
from sdgraph.diffusion.solvers.contract import Ending, Noise, Solver, SolverState, Span
from sdgraph.diffusion.solvers.pndm import combining, predicted, transferred

_RUNGE_KUTTA_STEPS = 3


@dataclass(frozen=True)
class PndmRk(Solver):
    """Liu et al. 2022, arXiv:2202.09778, algorithm 2 and equation 13: three pseudo Runge-Kutta steps over the timestep
    halfway, of four evaluations each, then the linear multistep method. It is diffusers' `PNDMScheduler` with
    `skip_prk_steps=False`.
    """

    grid: ClassVar[TimestepGrid] = "whole"
    ending: ClassVar[Ending] = "alpha_to_one"

    @property
    def order(self) -> int:
        return 2  # As pndm.

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        kind = combining(span)
        first = predicted(kind, denoise, x, span.sigma)
        remembered = state.remember(first, span.sigma, keep=4)
        if len(state.outputs) >= _RUNGE_KUTTA_STEPS or span.sigma_next == 0:
            output = combined(remembered.outputs)
        else:
            output = self._runge_kutta(denoise, x, span, first)
        return transferred(kind, output, x, span.sigma, span.sigma_next), remembered

    def _runge_kutta(self, denoise: Denoiser, x: Tensor, span: Span, first: Tensor) -> Tensor:
        """The mean prediction of the step."""
        kind, middle = combining(span), _halfway(span)
        second = predicted(kind, denoise, transferred(kind, first, x, span.sigma, middle), middle)
        third = predicted(kind, denoise, transferred(kind, second, x, span.sigma, middle), middle)
        ahead = transferred(kind, third, x, span.sigma, span.sigma_next)
        fourth = predicted(kind, denoise, ahead, span.sigma_next)
        return first / 6 + second / 3 + third / 3 + fourth / 6


def _halfway(span: Span) -> float:
    """The sigma of the timestep halfway through the step, a whole one where both ends are."""
    here, there = span.timestep, span.timestep_of(span.sigma_next)
    whole = here.is_integer() and there.is_integer() and here - there > 1
    middle = here - (here - there) // 2 if whole else (here + there) / 2
    return float(span.schedule.sigma_of(torch.tensor([middle]))[0])
