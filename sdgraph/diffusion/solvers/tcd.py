"""Strategic stochastic sampling for trajectory consistency distillation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser
from sdgraph.diffusion.schedule import TimestepGrid
from sdgraph.diffusion.solvers.contract import Ending, Noise, Solver, SolverState, Span
from sdgraph.diffusion.solvers.slope import slope


@dataclass(frozen=True)
class Tcd(Solver):
    """Zheng et al. 2024, arXiv:2402.19159, algorithm 4 (gamma sampling): denoise to a timestep below the next one, then
    add fresh noise up to it.
    """

    eta: float = 0.3
    """gamma of the paper: the timestep denoised to is 1 - gamma of the next one. 0: deterministic."""

    grid: ClassVar[TimestepGrid] = "lcm"
    ending: ClassVar[Ending] = "sigma_min"

    @property
    def order(self) -> int:
        return 1

    @property
    def stochastic(self) -> bool:
        return self.eta > 0

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        here = slope(denoise, x, span.sigma)
        if self.eta == 0 or span.last:
            return x + here * (span.sigma_next - span.sigma), state
        below = self._below(span)
        return x + here * (below - span.sigma) + math.sqrt(span.sigma_next**2 - below**2) * noise(), state

    def _below(self, span: Span) -> float:
        """The sigma that the step denoises to."""
        timestep = math.floor((1 - self.eta) * span.timestep_of(span.sigma_next))
        return min(float(span.schedule.sigma_of(torch.tensor([timestep]))[0]), span.sigma_next)
