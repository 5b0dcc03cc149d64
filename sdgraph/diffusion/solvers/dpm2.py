"""DPM-Solver-2: the midpoint method in log sigma."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span
from sdgraph.diffusion.solvers.slope import slope


@dataclass(frozen=True)
class Dpm2(Solver):
    """The form of DPM-Solver-2 (Lu et al. 2022, arXiv:2206.00927, algorithm 1) that Karras et al. 2022
    (arXiv:2206.00364, table 1 and appendix B) compare with: Euler to the geometric mean of both sigmas, then the slope
    there for the whole step. Two evaluations a step, one for the step to sigma 0.
    """

    @property
    def order(self) -> int:
        return 2

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        return midpoint_step(denoise, x, span.sigma, span.sigma_next), state


def midpoint_step(denoise: Denoiser, x: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """x [B, C, h, w] at `sigma_next`, by the slope at the geometric mean of both sigmas."""
    here = slope(denoise, x, sigma)
    if sigma_next == 0:
        return x - here * sigma
    middle = (sigma * sigma_next) ** 0.5
    return x + slope(denoise, x + here * (middle - sigma), middle) * (sigma_next - sigma)
