"""SA-Solver: a stochastic Adams method with a corrector that costs no evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.schedule import TimestepGrid
from sdgraph.diffusion.solvers.contract import Ending, Noise, Solver, SolverState, Span
from sdgraph.diffusion.solvers.lagrange import lagrange_integrals

_NOISY_TIMESTEPS = (200, 800)
_ORDER = 2


@dataclass(frozen=True)
class SaSolver(Solver):
    """Xue et al. 2023, arXiv:2309.05019, algorithm 1, with data prediction, a predictor and a corrector of order 2.

    tau is 1 (as much noise as the reverse SDE) between timesteps 200 and 800 and 0 (the ODE) elsewhere, as in the
    authors' code and in diffusers, which also have the weights of order 2 put right for uneven steps.
    """

    grid: ClassVar[TimestepGrid] = "whole_extra"
    ending: ClassVar[Ending] = "sigma_min"

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
        if state.outputs:
            x = self._corrected(denoised, span, state)
        drawn = noise()
        remembered = state.remember(denoised, span.sigma, keep=_ORDER)
        order = 1 if span.sigma_next == 0 else min(_ORDER, len(state.outputs) + 1, span.remaining or _ORDER)
        ahead = _adams(x, span, remembered.sigmas[-order:], remembered.outputs[-order:], drawn)
        return ahead, replace(remembered, sample=x, noise=drawn, order=order)

    def _corrected(self, denoised: Tensor, span: Span, state: SolverState) -> Tensor:
        """x at `span.sigma` again, with the same noise, now that the denoised latents there are known."""
        assert state.sample is not None
        assert state.noise is not None
        led_here = span.since(state.sigmas[-1])
        sigmas, outputs = (state.sigmas[-1], span.sigma), (state.outputs[-1], denoised)
        return _adams(state.sample, led_here, sigmas, outputs, state.noise)


def _adams(x: Tensor, span: Span, sigmas: Sequence[float], outputs: Sequence[Tensor], noise: Tensor) -> Tensor:
    """A step of equation 14 (predictor) or 17 (corrector) from the outputs at `sigmas`."""
    if span.sigma_next == 0:
        return outputs[-1]
    tau = _tau(span)
    rate, h = 1 + tau**2, span.width
    after = math.exp(-(tau**2) * h) * span.kept * x
    for weight, output in zip(_weights(span, sigmas, rate), outputs, strict=True):
        after = after + rate * span.alpha_next * weight * output
    return after + span.sigma_next * math.sqrt(-math.expm1(-2 * tau**2 * h)) * noise


def _weights(span: Span, sigmas: Sequence[float], rate: float) -> list[float]:
    """The integrals of the polynomials through the outputs against e^(rate (lambda - lambda_next))."""
    h = span.width
    if len(sigmas) == 1:
        return [-math.expm1(-rate * h) / rate]
    nodes = [-span.width_from(sigma) for sigma in sigmas]
    older, newer = lagrange_integrals(nodes, 0.0, h, rate)
    # The exact moment of order 1 gives way to h^2 / 2, which is what makes order 2 hold for uneven steps.
    moment = h**2 / 2 - (rate * h - 1 + math.exp(-rate * h)) / rate**2
    moved = moment / (nodes[1] - nodes[0])
    return [older - moved, newer + moved]


def _tau(span: Span) -> float:
    """How stochastic the step is, by the timestep that it starts from."""
    low, high = _NOISY_TIMESTEPS
    return 1.0 if low <= round(span.timestep) <= high else 0.0
