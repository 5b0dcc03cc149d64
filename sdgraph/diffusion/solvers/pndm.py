"""PNDM in its linear multistep form (PLMS)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.schedule import TimestepGrid
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span

# Adams-Bashforth, newest first (Liu et al. 2022, arXiv:2202.09778, equation 12 for the last row).
_WEIGHTS = (
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


@dataclass(frozen=True)
class Pndm(Solver):
    """Liu et al. 2022, arXiv:2202.09778, section 3.4, as Stable Diffusion uses it: without Runge-Kutta steps.

    Formula 9, the transfer of x by a noise estimate, is the straight line x + (sigma' - sigma) eps here. The first step
    evaluates twice and averages (the second timestep that diffusers lists twice); later ones combine up to four noise
    estimates. For networks that predict velocity diffusers combines velocities instead, so results differ there.
    """

    order: ClassVar[int] = 2  # Four estimates, but the weights suppose even steps, and sigmas are uneven.
    grid: ClassVar[TimestepGrid] = "whole"

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        width = span.sigma_next - span.sigma
        eps = _noise_estimate(denoise, x, span.sigma)
        remembered = state.remember(eps, span.sigma, keep=4)
        if state.outputs:
            eps = _combined(remembered.outputs)
        elif span.sigma_next > 0:
            eps = (eps + _noise_estimate(denoise, x + width * eps, span.sigma_next)) / 2
        return x + width * eps, remembered


def _noise_estimate(denoise: Denoiser, x: Tensor, sigma: float) -> Tensor:
    return (x - denoise(x, sigma_for(x, sigma))) / sigma


def _combined(outputs: tuple[Tensor, ...]) -> Tensor:
    weights = _WEIGHTS[len(outputs) - 2]
    total = weights[0] * outputs[-1]
    for weight, output in zip(weights[1:], reversed(outputs[:-1]), strict=True):
        total = total + weight * output
    return total
