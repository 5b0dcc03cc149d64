"""DEIS in its log-rho form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.schedule import TimestepGrid
from sdgraph.diffusion.solvers.contract import Ending, Noise, Solver, SolverState, Span, lowered_order
from sdgraph.diffusion.solvers.lagrange import lagrange_integrals


@dataclass(frozen=True)
class Deis(Solver):
    """Zhang & Chen 2022, arXiv:2204.13902, section 3.2 (tAB-DEIS): the polynomial through the last noise estimates is
    integrated over the step, in rho = sigma / alpha with log rho as its variable. `lowered_order` says where the order
    is lower.
    """

    steps_back: Literal[2, 3] = 2
    """How many noise estimates a step looks at."""

    grid: ClassVar[TimestepGrid] = "whole_extra"
    ending: ClassVar[Ending] = "sigma_min"

    @property
    def order(self) -> int:
        return 2  # With 3 outputs too: the first step is of first order, and its error remains.

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        denoised = denoise(x, sigma_for(x, span.sigma))
        eps = (x - span.alpha * denoised) / span.sigma
        order = lowered_order(self.steps_back, span, len(state.outputs) + 1)
        remembered = state.remember(eps, span.sigma, keep=self.steps_back)
        if order == 1:
            return span.kept * x + span.gained * denoised, remembered
        # With log rho counted from here, and rho from where the step leads: the weights are in units of that rho.
        nodes = [span.width_from(sigma) for sigma in remembered.sigmas[-order:]]
        weights = lagrange_integrals(nodes, 0.0, -span.width, rate=1.0)
        after = (span.alpha_next / span.alpha) * x
        for weight, output in zip(weights, remembered.outputs[-order:], strict=True):
            after = after + span.sigma_next * weight * output
        return after, remembered
