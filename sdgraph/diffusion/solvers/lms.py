"""The linear multistep method of k-diffusion."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span
from sdgraph.diffusion.solvers.lagrange import lagrange_integrals
from sdgraph.diffusion.solvers.slope import slope


@dataclass(frozen=True)
class Lms(Solver):
    """Adams-Bashforth of order 4 on the probability flow ODE, for uneven steps: the polynomial through the last slopes
    is integrated over the step (Hairer, Norsett & Wanner 1993, Solving Ordinary Differential Equations I, III.5).
    """

    @property
    def order(self) -> int:
        return 2  # The first step is Euler's, and its error remains.

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        remembered = state.remember(slope(denoise, x, span.sigma), span.sigma, keep=4)
        weights = lagrange_integrals(remembered.sigmas, span.sigma, span.sigma_next)
        for weight, output in zip(weights, remembered.outputs, strict=True):
            x = x + weight * output
        return x, remembered
