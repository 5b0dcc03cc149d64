"""UniPC-2: a second-order predictor with a corrector that costs no evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.schedule import TimestepGrid
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span


@dataclass(frozen=True)
class UniPc(Solver):
    """Zhao et al. 2023, arXiv:2302.04867, algorithms 1 and 2 (data prediction, B(h) = e^h - 1, called bh2).

    Each evaluation first corrects the step that led to it (UniC), then predicts the next (UniP). The first step and the
    last of the trajectory are of first order.
    """

    order: ClassVar[int] = 3  # UniPC-2: the corrector adds one.
    grid: ClassVar[TimestepGrid] = "whole_extra"

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        denoised = denoise(x, sigma_for(x, span.sigma))
        if state.outputs:
            x = _corrected(denoised, span, state)
        first_order = not state.outputs or span.last or span.sigma_next == 0
        ahead = span.kept * x + span.gained * denoised
        if not first_order:
            ratio = -span.width_from(state.sigmas[-1]) / span.width
            ahead = ahead + span.gained * 0.5 * (state.outputs[-1] - denoised) / ratio
        remembered = state.remember(denoised, span.sigma, keep=2)
        return ahead, replace(remembered, sample=x, order=1 if first_order else 2)


def _corrected(denoised: Tensor, span: Span, state: SolverState) -> Tensor:
    """x at `span.sigma` again (UniC), now that the denoised latents there are known."""
    assert state.sample is not None
    before, sigma_before = state.outputs[-1], state.sigmas[-1]
    led_here = Span(sigma_before, span.sigma, 0.0, last=False, path=span.path)
    plain = led_here.kept * state.sample + led_here.gained * before
    change = denoised - before
    if state.order == 1:
        return plain + led_here.gained * 0.5 * change
    ratio = -led_here.width_from(state.sigmas[-2]) / led_here.width
    older, newer = _corrector_weights(ratio, led_here.width)
    return plain + led_here.gained * (older * (state.outputs[-2] - before) / ratio + newer * change)


def _corrector_weights(ratio: float, width: float) -> tuple[float, float]:
    """The weights that solve equation 11 of the paper for order 2: [[1, 1], [ratio, 1]] weights = b."""
    h = -width
    growth = math.expm1(h)
    phi = growth / h - 1
    b_first = phi / growth
    b_second = 2 * (phi / h - 0.5) / growth
    older = (b_first - b_second) / (1 - ratio)
    return older, b_first - older
