"""DPM-Solver++(2S) with ancestral noise."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.solvers.ancestral import divided
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span


@dataclass(frozen=True)
class DpmPp2SAncestral(Solver):
    """Lu et al. 2022, arXiv:2211.01095, algorithm 1 with r = 1/2 to below the next sigma, then fresh noise up to it.

    It is the sampler that k-diffusion calls dpmpp_2s_ancestral. Two evaluations a step, one for the step to sigma 0.
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
        parts = divided(span)
        denoised = denoise(x, sigma_for(x, span.sigma))
        if parts.down == 0:
            return denoised, state
        middle = span.to((span.sigma * parts.down) ** 0.5)
        ahead = middle.kept * x + middle.gained * denoised
        whole = span.to(parts.down)
        x = whole.kept * x + whole.gained * denoise(ahead, sigma_for(x, middle.sigma_next))
        return x + noise() * parts.up, state
