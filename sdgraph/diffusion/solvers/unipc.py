"""UniPC: a multistep predictor with a corrector that costs no evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.schedule import TimestepGrid
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span


@dataclass(frozen=True)
class UniPc(Solver):
    """Zhao et al. 2023, arXiv:2302.04867, algorithms 1 and 2, with data prediction.

    Each evaluation first corrects the step that led to it (UniC), then predicts the next (UniP). The order rises with
    the history and falls to 1 towards the end of the trajectory.
    """

    steps_back: Literal[2, 3] = 2
    """The order of the predictor."""
    function: Literal["bh1", "bh2"] = "bh2"
    """B(h) of the paper's section 3.1: h, or e^h - 1."""

    grid: ClassVar[TimestepGrid] = "whole_unipc"

    @property
    def order(self) -> int:
        return self.steps_back + 1  # The corrector adds one.

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        denoised = denoise(x, sigma_for(x, span.sigma))
        if state.outputs:
            x = self._corrected(denoised, span, state)
        order = 1 if span.sigma_next == 0 else min(self.steps_back, len(state.outputs) + 1, span.remaining or 3)
        ahead = span.kept * x + span.gained * denoised
        if order > 1:
            equations = _Equations.of(span, state.sigmas[:-order:-1], self.function)
            weights = (0.5,) if order == 2 else equations.solved(order - 1)
            for weight, ratio, output in zip(weights, equations.ratios, state.outputs[:-order:-1], strict=True):
                ahead = ahead + equations.scale * weight * (output - denoised) / ratio
        remembered = state.remember(denoised, span.sigma, keep=self.steps_back)
        return ahead, replace(remembered, sample=x, order=order)

    def _corrected(self, denoised: Tensor, span: Span, state: SolverState) -> Tensor:
        """x at `span.sigma` again (UniC), now that the denoised latents there are known."""
        assert state.sample is not None
        led_here, before = span.since(state.sigmas[-1]), state.outputs[-1]
        earlier = slice(-2, -state.order - 1, -1)
        equations = _Equations.of(led_here, state.sigmas[earlier], self.function)
        *weights, newest = (0.5,) if state.order == 1 else equations.solved(state.order)
        change = newest * (denoised - before)
        for weight, ratio, output in zip(weights, equations.ratios, state.outputs[earlier], strict=True):
            change = weight * (output - before) / ratio + change
        return led_here.kept * state.sample + led_here.gained * before + equations.scale * change


@dataclass(frozen=True)
class _Equations:
    """The conditions of equation 11 of the paper for a step: sum over m of weight_m ratio_m^(k-1) = b_k."""

    ratios: tuple[float, ...]
    """Where the earlier outputs lie, newest first, in units of the step: (lambda_m - lambda) / h, below 0."""
    h: float
    """Minus the length of the step in lambda."""
    function: float
    """B(h)."""
    scale: float
    """What the weighted differences of outputs are multiplied by: -alpha B(h)."""

    @classmethod
    def of(cls, span: Span, sigmas: Sequence[float], function: str) -> _Equations:
        ratios = tuple(-span.width_from(sigma) / span.width for sigma in sigmas)
        h = -span.width
        if function == "bh1":
            return cls(ratios, h, h, span.alpha_next * span.width)
        return cls(ratios, h, math.expm1(h), span.gained)

    def solved(self, order: int) -> tuple[float, ...]:
        """The weights of `order` outputs; those of the corrector end with the output that the step leads to."""
        right = self._right_sides(order)
        if order == 1:
            return (right[0],)
        points = (*self.ratios, 1.0)[:order]
        if order == 2 and points[1] == 1.0:
            older = (right[0] - right[1]) / (1 - points[0])
            return older, right[0] - older
        powers = np.vander(points, order, increasing=True).T
        return tuple(float(weight) for weight in np.linalg.solve(powers, np.array(right)))

    def _right_sides(self, order: int) -> list[float]:
        """b_k = h phi_{k+1}(h) k! / B(h)."""
        phi = math.expm1(self.h) / self.h - 1
        sides: list[float] = []
        factorial = 1
        for k in range(1, order + 1):
            sides.append(phi * factorial / self.function)
            factorial *= k + 1
            phi = phi / self.h - 1 / factorial
        return sides
