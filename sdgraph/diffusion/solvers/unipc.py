"""UniPC-2: a second-order predictor with a corrector that costs no evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.sigmas import TimestepGrid
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
            x = _corrected(denoised, span.sigma, state)
        first_order = not state.outputs or span.last or span.sigma_next == 0
        kept = span.sigma_next / span.sigma
        ahead = kept * x + (1 - kept) * denoised
        if not first_order:
            ratio = math.log(span.sigma / state.sigmas[-1]) / math.log(span.sigma / span.sigma_next)
            ahead = ahead + (1 - kept) * 0.5 * (state.outputs[-1] - denoised) / ratio
        remembered = state.remember(denoised, span.sigma, keep=2)
        return ahead, replace(remembered, sample=x, order=1 if first_order else 2)


def _corrected(denoised: Tensor, sigma: float, state: SolverState) -> Tensor:
    """x at `sigma` again (UniC), now that the denoised latents there are known."""
    assert state.sample is not None
    before, sigma_before = state.outputs[-1], state.sigmas[-1]
    kept = sigma / sigma_before
    plain = kept * state.sample + (1 - kept) * before
    change = denoised - before
    if state.order == 1:
        return plain + (1 - kept) * 0.5 * change
    width = math.log(sigma_before / sigma)
    ratio = math.log(sigma_before / state.sigmas[-2]) / width
    older, newer = _corrector_weights(ratio, width)
    return plain + (1 - kept) * (older * (state.outputs[-2] - before) / ratio + newer * change)


def _corrector_weights(ratio: float, width: float) -> tuple[float, float]:
    """The weights that solve equation 11 of the paper for order 2: [[1, 1], [ratio, 1]] weights = b."""
    h = -width
    growth = math.expm1(h)
    phi = growth / h - 1
    b_first = phi / growth
    b_second = 2 * (phi / h - 0.5) / growth
    older = (b_first - b_second) / (1 - ratio)
    return older, b_first - older
