"""PNDM in its linear multistep form (PLMS)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, denoised_from_prediction, prediction_from_denoised, sigma_for
from sdgraph.diffusion.schedule import PredictionType, TimestepGrid
from sdgraph.diffusion.solvers.adams_bashforth import combined
from sdgraph.diffusion.solvers.contract import Ending, Noise, Solver, SolverState, Span
from sdgraph.diffusion.solvers.slope import slope


@dataclass(frozen=True)
class Pndm(Solver):
    """Liu et al. 2022, arXiv:2202.09778, section 3.4, as Stable Diffusion uses it: without Runge-Kutta steps.

    Formula 9, the transfer of x by a noise estimate, is the straight line x + (sigma' - sigma) eps here. The first step
    evaluates twice and averages (the second timestep that diffusers lists twice); later ones combine up to four
    predictions. Networks that predict velocity have their velocities combined, as in diffusers.
    """

    grid: ClassVar[TimestepGrid] = "whole"
    ending: ClassVar[Ending] = "alpha_to_one"

    @property
    def order(self) -> int:
        return 2  # Four estimates, but the weights suppose even steps, and sigmas are uneven.

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        kind = combining(span)
        output = predicted(kind, denoise, x, span.sigma)
        remembered = state.remember(output, span.sigma, keep=4)
        if state.outputs:
            output = combined(remembered.outputs)
        elif span.sigma_next > 0:
            ahead = transferred(kind, output, x, span.sigma, span.sigma_next)
            output = (output + predicted(kind, denoise, ahead, span.sigma_next)) / 2
        return transferred(kind, output, x, span.sigma, span.sigma_next), remembered


def combining(span: Span) -> PredictionType:
    """What the PNDM family combines: velocities where the network predicts them, otherwise noise estimates."""
    return "v_prediction" if span.schedule.prediction == "v_prediction" else "epsilon"


def predicted(kind: PredictionType, denoise: Denoiser, x: Tensor, sigma: float) -> Tensor:
    """The prediction [B, C, h, w] at x and `sigma`."""
    if kind == "epsilon":
        return slope(denoise, x, sigma)
    at = sigma_for(x, sigma)
    return prediction_from_denoised(kind, denoise(x, at), x, at)


def transferred(kind: PredictionType, prediction: Tensor, x: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """x [B, C, h, w] at `sigma_next`, by a prediction that holds at x and `sigma` (formula 9)."""
    eps = prediction
    if kind != "epsilon":
        eps = (x - denoised_from_prediction(kind, prediction, x, sigma_for(x, sigma))) / sigma
    return x + (sigma_next - sigma) * eps
