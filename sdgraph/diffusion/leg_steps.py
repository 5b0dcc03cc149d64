"""The steps of a leg from where the latents are, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from sdgraph.diffusion.guidance import Guider, StepContext
from sdgraph.diffusion.leg import Leg
from sdgraph.diffusion.leg_sigmas import leg_sigmas
from sdgraph.diffusion.schedule import NoiseSchedule
from sdgraph.diffusion.solvers.contract import Solver, SolverState, Span


@dataclass(frozen=True, slots=True)
class LegStep:
    """A step that is to be taken."""

    index: int
    """0-based step of the leg."""
    span: Span
    scale: float
    """The guidance scale."""
    at: StepContext
    """Its place in the stage; without memory."""


def leg_steps(leg: Leg, sigma: float, schedule: NoiseSchedule) -> list[LegStep]:
    """The steps of `leg` for latents at `sigma`: those that would not lower the noise are left out."""
    planned = leg_sigmas(leg, schedule).tolist()[1:]
    sigmas = [sigma, *(later for later in planned if later < sigma)]
    left_out = leg.steps - (len(sigmas) - 1)
    ends = leg.sigma_end is None and leg.leaves is None
    return [
        LegStep(
            index,
            Span(here, there, schedule, leg.first_step + index, leg.total_steps, ends),
            leg.guidance.scale_at(leg.progress_at(index), here),
            StepContext(leg.guidance_first + index, leg.guidance_steps),
        )
        for index, (here, there) in enumerate(pairwise(sigmas), start=left_out)
    ]


def evaluations(steps: Sequence[LegStep], solver: Solver, history: SolverState, guider: Guider) -> int:
    """Network evaluations per picture that `steps` would take: the solver runs on zeros, and no network is asked."""
    nothing = torch.zeros(1, 1, 1, 1)
    history = history.map(lambda _: nothing)
    count = 0
    for step in steps:

        def answer(x: Tensor, sigma: Tensor, step: LegStep = step) -> Tensor:
            nonlocal count
            count += guider.evaluations(step.scale, step.at)
            return nothing

        _, history = solver.step(answer, nothing, step.span, history, lambda: nothing)
    return count
