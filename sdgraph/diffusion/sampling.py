"""The sampling loop: runs one leg from a state to a state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdgraph.diffusion.active import Active, scatter
from sdgraph.diffusion.denoiser import sigma_for
from sdgraph.diffusion.early_stop import EarlyStop
from sdgraph.diffusion.guidance import Guided, Guider
from sdgraph.diffusion.guiders.cfg_pp import renoised
from sdgraph.diffusion.leg import Leg
from sdgraph.diffusion.leg_sigmas import leg_sigmas
from sdgraph.diffusion.leg_steps import LegStep, evaluations, leg_steps
from sdgraph.diffusion.noise import NoiseStream
from sdgraph.diffusion.schedule import NoiseSchedule
from sdgraph.diffusion.settling import Stop, settled, watch
from sdgraph.diffusion.solvers.contract import Solver
from sdgraph.diffusion.solvers.table import make_solver
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
    put_back: bool = True,
    resume: SamplerState | None = None,
    keep: Callable[[int, Callable[[], SamplerState]], None] | None = None,
) -> SamplerState:
    """The state after the steps of `leg`.

    The leg takes up its schedule where the latents are: steps that would not lower the noise are left out. That happens
    only where the stage before had another schedule. The history of a multistep solver is carried from leg to leg, and
    dropped where the next leg has another solver. `on_step` is called after every step and may raise to cancel;
    `before_step` gets the 0-based index of each step in the leg and its noise level before the step looks at anything.
    Pictures that were finished early, in this leg or before, stay as they are and cost nothing more. What the state
    keeps is put back after every step, unless `put_back` is off, for a model that sees by itself what is kept.
    `keep` is called after every step but the last, with how many steps were taken and a way to get the state there.
    Given back as `resume`, beside the same arguments, that state goes on as if nothing had been in between, bit for
    bit. Raises SamplingError `nothing-to-denoise` when the latents are free of noise already.
    """
    schedule = schedule.for_latents(*state.x.shape[-2:])
    solver = make_solver(leg.solver, leg.eta)
    if not state.running:
        return _left_out(leg, state, guider, schedule, solver)
    if state.sigma == 0:
        raise SamplingError(
            "nothing-to-denoise",
            "This stage needs latents with noise, and these are finished.",
            hint="Start from noise, or add noise to the latents first.",
        )
    run = _LegRun(leg, state, guider, schedule, solver, put_back)
    if resume is not None:
        run.resume(resume)
    for step in run.left:
        if before_step is not None:
            before_step(step.index, step.span.sigma)
        denoised = run.take(step)
        if on_step is not None:
            on_step(StepInfo(step.index, leg.steps, step.span.sigma, denoised))
        if leg.early_stop is not None and run.finish(step, leg.early_stop):
            break
        if keep is not None and run.left:
            keep(len(run.steps) - len(run.left), run.state)
    return run.state()


def _left_out(leg: Leg, state: SamplerState, guider: Guider, schedule: NoiseSchedule, solver: Solver) -> SamplerState:
    """The state when every picture was finished before the leg: only what is saved grows."""
    steps = leg_steps(leg, float(leg_sigmas(leg, schedule)[0]), schedule)
    saved = evaluations(steps, solver, solver.init(), guider)
    return replace(state, stopped=tuple(replace(stop, saved=stop.saved + saved) for stop in state.stopped))


class _LegRun:
    """A leg on its way: the pictures that still run, and what has come of the others."""

    def __init__(
        self,
        leg: Leg,
        state: SamplerState,
        guider: Guider,
        schedule: NoiseSchedule,
        solver: Solver,
        put_back: bool = True,
    ) -> None:
        self.steps = leg_steps(leg, state.sigma, schedule)
        self._leg, self._before, self._guider, self._solver = leg, state, guider, solver
        self._noises = NoiseStream(state.seeds, state.x.shape[1:], state.draws if solver.stochastic else 0)
        self._history = state.history if state.solver == leg.solver else solver.init()
        settling = state.settling if leg.early_stop and leg.guidance_first else None
        self._active = Active.of(state.x, guider, state.running, self._history, state.memory, settling)
        self._x = self._denoised = state.x
        self._stopped: tuple[Stop, ...] = ()
        self._sigma, self._nfe, self._taken = state.sigma, state.nfe, 0
        self._schedule, self._kept = schedule, state.kept if put_back else None

    @property
    def left(self) -> list[LegStep]:
        """The steps that are still to be taken."""
        return self.steps[self._taken :]

    def resume(self, state: SamplerState) -> None:
        """Go on where this leg, begun with the same state, had come to."""
        self._taken, self._nfe, self._sigma = state.step - self._before.step, state.nfe, state.sigma
        if self._solver.stochastic:
            self._noises = NoiseStream(state.seeds, state.x.shape[1:], state.draws)
        kept = (state.running, state.history, state.memory, state.settling)
        self._active = Active.of(state.x, self._guider, *kept)
        self._x = self._denoised = state.x
        self._stopped = state.stopped[len(self._before.stopped) :]

    def take(self, step: LegStep) -> Tensor:
        """Take a step; the denoised latents [B, C, h, w] that it has come to."""
        active = self._active
        answer = _Answer(active.guider, step, active.memory)
        start = answer.renoised(active.x) if self._leg.guider.kind == "cfg_pp" else active.x
        x, history = self._solver.step(answer, start, step.span, active.history, self._noise)
        x = self._put_back(x, step.span.sigma_next, active.items)
        self._active = replace(active, x=x, history=history, memory=answer.memory)
        self._x = scatter(self._x, active.items, x)
        self._denoised = scatter(self._denoised, active.items, answer.denoised)
        self._sigma = step.span.sigma_next
        self._nfe += answer.nfe
        self._taken += 1
        return self._denoised

    def finish(self, step: LegStep, rule: EarlyStop) -> bool:
        """Finish the pictures that have settled by `step`; whether none is left."""
        active = self._active
        seen = self._denoised[list(active.items)]
        settling = watch(active.settling, seen, rule.threshold, edges=rule.watches == "edges")
        self._active = active = replace(active, settling=settling)
        steps_done = self._leg.guidance_first + step.index + 1
        done = settled(settling, rule, steps_done) if step.span.sigma_next > 0 else []
        if done:
            items = [active.items[position] for position in done]
            self._x = scatter(self._x, items, self._put_back(self._denoised[items], 0.0, items))
            saved = evaluations(self.left, self._solver, active.history, self._guider)
            step_count = self._before.step + self._taken
            self._stopped += tuple(Stop(item, step_count, self._nfe, saved) for item in items)
            self._active = active.take([place for place in range(len(active.items)) if place not in done])
        return not self._active.items

    def state(self) -> SamplerState:
        """The state that the leg has come to."""
        before, active = self._before, self._active
        return replace(
            before,
            x=self._x,
            sigma=self._sigma if active.items else 0.0,
            draws=self._noises.draws if self._solver.stochastic else before.draws,
            step=before.step + self._taken,
            nfe=self._nfe,
            solver=self._leg.solver,
            history=active.history,
            memory=active.memory,
            settling=active.settling,
            stopped=self._all_stopped(),
        )

    def _all_stopped(self) -> tuple[Stop, ...]:
        """Those of before, who were spared this whole leg, and those of this leg."""
        before = self._before.stopped
        spared = evaluations(self.steps, self._solver, self._history, self._guider) if before else 0
        return (*(replace(stop, saved=stop.saved + spared) for stop in before), *self._stopped)

    def _put_back(self, x: Tensor, sigma: float, items: Sequence[int]) -> Tensor:
        return x if self._kept is None else self._kept.over(x, sigma, self._schedule, items)

    def _noise(self) -> Tensor:
        """The next noise of the pictures that still run; every seed is drawn from, so that none depends on others."""
        noise = self._noises.draw().to(self._x.device)
        items = self._active.items
        return noise if len(items) == len(noise) else noise[list(items)]


class _Answer:
    """A guider at one step, seen as a denoiser that counts its network evaluations and keeps its last answer."""

    def __init__(self, guider: Guider, step: LegStep, memory: Tensor | None) -> None:
        self._guider, self._step = guider, step
        self._known: Tensor | None = None
        self.nfe = 0
        self.memory = memory
        self.denoised: Tensor

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        known, self._known = self._known, None
        return self._ask(x, sigma).denoised if known is None else known

    def renoised(self, x: Tensor) -> Tensor:
        """The latents to start the step from (`renoised`); the solver's own question then has its answer already."""
        guided = self._ask(x, sigma_for(x, self._step.span.sigma))
        self._known = guided.denoised
        return renoised(x, guided, self._step.span.alpha)

    def _ask(self, x: Tensor, sigma: Tensor) -> Guided:
        guided = self._guider.guide(x, sigma, self._step.scale, replace(self._step.at, memory=self.memory))
        self.nfe += guided.nfe
        self.memory, self.denoised = guided.memory, guided.denoised
        return guided
