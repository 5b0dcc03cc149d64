"""DPM-Solver++(2S) and (3S): steps in groups, each of which goes back to where it started."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for
from sdgraph.diffusion.schedule import TimestepGrid
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span


@dataclass(frozen=True)
class DpmPpSinglestep(Solver):
    """Lu et al. 2022, arXiv:2211.01095, algorithm 1, and order 3 in the manner of DPM-Solver-3 (Lu et al. 2022,
    arXiv:2206.00927, algorithm 2); at whatever sigmas the schedule has, as in diffusers.

    A group of `group` steps costs as many evaluations. Its k-th step leads from the group's start to the next sigma,
    at order k. The schedule's first step opens a group; a step to sigma 0 is of first order.
    """

    group: Literal[2, 3] = 2

    grid: ClassVar[TimestepGrid] = "whole_linspace"

    @property
    def order(self) -> int:
        return self.group

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        denoised = denoise(x, sigma_for(x, span.sigma))
        order = 1 if span.sigma_next == 0 else min(span.index % self.group, len(state.outputs)) + 1
        if order == 1 or state.sample is None:
            state, sample, order = SolverState(), x, 1
        else:
            sample = state.sample
        remembered = replace(state.remember(denoised, span.sigma, keep=self.group), sample=sample)
        return _from_start(order, remembered, span), remembered


def _from_start(order: int, state: SolverState, span: Span) -> Tensor:
    """x at the next sigma, from the start of the group."""
    assert state.sample is not None
    whole = replace(span, sigma=state.sigmas[-order])
    outputs = state.outputs[-order:]
    start = whole.kept * state.sample + whole.gained * outputs[0]
    if order == 1:
        return start
    h = whole.width
    slope = (outputs[-1] - outputs[0]) * (h / span.width_from(whole.sigma))
    if order == 2:
        return start + whole.gained * 0.5 * slope
    return start + whole.alpha_next * (math.expm1(-h) / h + 1) * slope
