"""DPM-Solver++ for the diffusion SDE, with a midpoint (DPM++ SDE)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.solvers.ancestral import ancestral_noise
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span


@dataclass(frozen=True)
class DpmPpSde(Solver):
    """The sampler that k-diffusion calls dpmpp_sde, after Lu et al. 2022, arXiv:2211.01095: an ancestral step of first
    order to the middle in log sigma, then one over the whole step with the estimate of x0 from there. Two evaluations a
    step, one for the step to sigma 0.

    Both noises are increments of one Brownian motion in sigma, so that of the whole step contains that of its first
    half. It is drawn as its two independent halves.
    """

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
        if span.sigma_next == 0:
            return denoised, state
        middle = span.to((span.sigma * span.sigma_next) ** 0.5)
        first = noise()
        whole = brownian_sum(span, middle.sigma_next, first, noise())
        ahead = _ancestral(x, denoised, middle, first)
        return _ancestral(x, denoise(ahead, sigma_for(x, middle.sigma_next)), span, whole), state


def brownian_sum(span: Span, middle: float, first: Tensor, second: Tensor) -> Tensor:
    """Standard normal noise of the whole step, from those of its parts before and after `middle`."""
    share = (span.sigma - middle) / (span.sigma - span.sigma_next)
    return share**0.5 * first + (1 - share) ** 0.5 * second


def _ancestral(x: Tensor, denoised: Tensor, span: Span, noise: Tensor) -> Tensor:
    """A step of first order below the next sigma, then up to it."""
    up = ancestral_noise(span.sigma, span.sigma_next)
    down = span.to((span.sigma_next**2 - up**2) ** 0.5)
    return down.kept * x + down.gained * denoised + up * noise
