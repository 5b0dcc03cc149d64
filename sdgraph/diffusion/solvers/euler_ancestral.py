"""Euler's method with ancestral noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span


@dataclass(frozen=True)
class EulerAncestral(Solver):
    """An Euler step below the next sigma, then fresh noise up to it.

    The split is that of ancestral sampling (Ho et al. 2020, arXiv:2006.11239, equation 7; Song et al. 2021,
    arXiv:2011.13456, appendix F).
    """

    order: ClassVar[int] = 1

    @property
    def stochastic(self) -> bool:
        return True

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        up = ancestral_noise(span.sigma, span.sigma_next)
        down = (span.sigma_next**2 - up**2) ** 0.5
        derivative = (x - denoise(x, sigma_for(x, span.sigma))) / span.sigma
        x = x + derivative * (down - span.sigma)
        return (x + noise() * up if up > 0 else x), state


def ancestral_noise(sigma: float, sigma_next: float) -> float:
    """Standard deviation of the noise that a full ancestral step adds; never more than `sigma_next`."""
    return sigma_next * max(1 - (sigma_next / sigma) ** 2, 0.0) ** 0.5
