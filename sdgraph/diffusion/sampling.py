"""The sampling loop: runs one leg from a state to a state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from sdgraph.diffusion.guidance import Guider
from sdgraph.diffusion.leg_sigmas import leg_sigmas
from sdgraph.diffusion.noise import NoiseStream
from sdgraph.diffusion.schedule import NoiseSchedule
from sdgraph.diffusion.solvers.contract import Span
from sdgraph.diffusion.solvers.table import make_solver
from sdgraph.diffusion.stages import Leg
from sdgraph.diffusion.state import SamplerState
from sdgraph.errors import SamplingError


@dataclass(frozen=True, eq=False)
class StepInfo:
    """What a step of a leg has come to."""

    index: int
    """0-based step of this leg."""
    total: int
    """Steps of this leg."""
    sigma: float
    """The noise level that the step started from."""
    denoised: Tensor
    """[B, C, h, w]: the guided x0 estimate of the step's last evaluation, for previews."""


@torch.no_grad()
def run_stage(
    leg: Leg,
    state: SamplerState,
    guider: Guider,
    schedule: NoiseSchedule,
    on_step: Callable[[StepInfo], None] | None = None,
    before_step: Callable[[int, float], None] | None = None,
) -> SamplerState:
    """The state after the steps of `leg`.

    The leg takes up its schedule where the latents are: steps that would not lower the noise are left out. That happens
    only where the stage before had another schedule. The history of a multistep solver is carried from leg to leg, and
    dropped where the next leg has another solver. `on_step` is called after every step and may raise to cancel;
    `before_step` gets the 0-based index of each step in the leg and its noise level before the step looks at anything.
    Raises SamplingError `nothing-to-denoise` when the latents are free of noise already.
    """
    if state.sigma == 0:
        raise SamplingError(
            "nothing-to-denoise",
            "This stage needs latents with noise, and these are finished.",
            hint="Start from noise, or add noise to the latents first.",
        )
    schedule = schedule.for_latents(*state.x.shape[-2:])
    solver = make_solver(leg.solver, leg.eta)
    planned = leg_sigmas(leg, schedule).tolist()[1:]
    sigmas = [state.sigma, *(sigma for sigma in planned if sigma < state.sigma)]
    left_out = leg.steps - (len(sigmas) - 1)
    timesteps = schedule.timestep_of(torch.tensor(sigmas)).tolist()
    history = state.history if state.solver == leg.solver else solver.init()
    noises = NoiseStream(state.seeds, state.x.shape[1:], state.draws if solver.stochastic else 0)
    x, nfe = state.x, state.nfe
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas), start=left_out):
        if before_step is not None:
            before_step(index, sigma)
        counted = _Counted(guider, leg.guidance.scale_at(leg.progress_at(index), sigma))
        last = leg.final and index == leg.steps - 1
        span = Span(sigma, sigma_next, timesteps[index - left_out], last, schedule.path)
        x, history = solver.step(counted, x, span, history, lambda: noises.draw().to(state.x.device))
        nfe += counted.nfe
        if on_step is not None and counted.denoised is not None:
            on_step(StepInfo(index, leg.steps, sigma, counted.denoised))
    return replace(
        state,
        x=x,
        sigma=sigmas[-1],
        draws=noises.draws if solver.stochastic else state.draws,
        step=state.step + len(sigmas) - 1,
        nfe=nfe,
        solver=leg.solver,
        history=history,
    )


class _Counted:
    """A guider at one scale, seen as a denoiser that counts its network evaluations and keeps its last answer."""

    def __init__(self, guider: Guider, scale: float) -> None:
        self._guider = guider
        self._scale = scale
        self.nfe = 0
        self.denoised: Tensor | None = None

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        guided = self._guider.guide(x, sigma, self._scale)
        self.nfe += guided.nfe
        self.denoised = guided.denoised
        return guided.denoised
