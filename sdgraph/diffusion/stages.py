"""Stages of sampling as data: what a user writes (`Stage`) and what can run and be cached (`Leg`). No torch.

A leg is a slice of one sigma schedule. It knows nothing about the stages after it, their steps included, so editing a
later stage never makes an earlier leg run again. Two ways to divide a trajectory:

* Without `sigma_end`, the stages are parts of one reference schedule of a fixed number of steps, spaced as suits the
  first one's solver. A stage hands over where the reference schedule is after `until` of it, or else after as many
  steps as the stage has; the last one leads to the end. A stage with as many steps as its part has is a slice of the
  reference schedule, and with another number it spaces its own between the same ends. Where two stages name different
  schedules, the later one takes up its own where the latents are.
* With `sigma_end` on every stage but the last, each stage has its own steps between its own bounds.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sdgraph.diffusion.early_stop import EarlyStop
from sdgraph.diffusion.guidance_schedule import ConstantGuidance, GuidanceSchedule
from sdgraph.diffusion.guider_specs import CfgSpec, GuiderSpec, require_solver
from sdgraph.diffusion.names import ETA_DEFAULTS, FinalSigma, SigmaName, SolverName
from sdgraph.errors import SamplingError

MAX_STEPS = 1000


Levels = Annotated[
    tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...], Field(min_length=1, max_length=MAX_STEPS + 1)
]


class Stage(BaseModel):
    """One stage of sampling, as a user writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=20, ge=1, le=MAX_STEPS)
    """Solver steps of this stage."""
    solver: SolverName = "euler"
    eta: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    """Noise that `ddim` and `tcd` add per step: 0 none, 1 as much as `ddpm`; None: 0 for `ddim`, 0.3 for `tcd`. Others
    ignore it."""
    sigmas: SigmaName = "checkpoint"
    """Spacing of the noise levels; `checkpoint` is the spacing that the model was made for."""
    guidance: GuidanceSchedule = ConstantGuidance()
    guider: GuiderSpec = CfgSpec()
    """How the answers under the two conditionings become one; `guidance` is its strength."""
    early_stop: EarlyStop | None = None
    """When a picture counts as finished before the last step; None: never."""
    sigma_end: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Noise level at which this stage hands over; None: as `until` says."""
    until: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] | None = None
    """Share 0..1 of the whole schedule at which this stage hands over; None: after its steps, and the last stage at the
    end."""
    model: Literal["base", "refiner"] = "base"
    """Which of the sampler's two models draws."""
    custom_sigmas: Levels | None = None
    """Noise levels to pass through in place of `sigmas`, from the noisiest to the cleanest; one more than there are
    steps, so the last one is where the stage ends: 0 without noise."""
    custom_timesteps: Levels | None = None
    """Training timesteps to evaluate at in place of `sigmas`, from the noisiest to the cleanest; one for each step."""
    shift: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] | None = None
    """Flow matching models: how far the noise levels are moved to the noisy end; 1 is not at all, None as the model has
    it."""

    @model_validator(mode="before")
    @classmethod
    def _count_custom_steps(cls, values: Any) -> Any:
        """Fill in the steps that custom levels amount to."""
        if not isinstance(values, dict) or "steps" in values:
            return cast(Any, values)
        given = cast(dict[str, Any], values)
        sigmas, timesteps = given.get("custom_sigmas"), given.get("custom_timesteps")
        if isinstance(sigmas, Sequence) and len(cast(Sequence[Any], sigmas)) > 1:
            return {**given, "steps": len(cast(Sequence[Any], sigmas)) - 1}
        if isinstance(timesteps, Sequence) and timesteps:
            return {**given, "steps": len(cast(Sequence[Any], timesteps))}
        return given

    @property
    def custom(self) -> bool:
        """Whether its noise levels are written out."""
        return self.custom_sigmas is not None or self.custom_timesteps is not None


class Position(BaseModel):
    """A place on the way through a schedule from the model's largest sigma: after `step` of its `steps` steps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    steps: int


class Leg(BaseModel):
    """Steps `first_step` to `first_step + steps` of a schedule of `total_steps` between two noise levels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    solver: SolverName
    eta: float
    sigmas: SigmaName
    spaced_for: SolverName
    """The solver whose usual timesteps the schedule has."""
    sigma_start: float | None
    """Where the schedule begins; None: the model's largest sigma."""
    sigma_end: float | None
    """Where the schedule ends; None: `final_sigma`."""
    enters: Position | None = None
    """Where the schedule begins, in place of `sigma_start`: on its way through the reference schedule."""
    leaves: Position | None = None
    """Where it ends, in place of `sigma_end`."""
    clears: bool = False
    """Whether its last step removes all noise that is left, wherever the schedule would be."""
    model: Literal["base", "refiner"] = "base"
    """Which of the sampler's two models draws."""
    total_steps: int
    first_step: int
    steps: int
    guidance: GuidanceSchedule
    guider: GuiderSpec = CfgSpec()
    early_stop: EarlyStop | None = None
    guidance_first: int
    """How many steps of the stage came before this leg; not 0 only after a split or a shortened start."""
    guidance_steps: int
    final: bool
    """Whether the trajectory ends with this leg: multistep solvers lower their order in its last step."""
    final_sigma: FinalSigma
    custom_sigmas: tuple[float, ...] | None = None
    """The schedule itself, where it is written out."""
    custom_timesteps: tuple[float, ...] | None = None
    shift: float | None = None
    """The shift of flow matching; None: the model's own."""

    def progress_at(self, step: int) -> float:
        """Progress 0..1 of the stage at step `step` (0-based) of this leg."""
        return (self.guidance_first + step) / max(self.guidance_steps - 1, 1)

    def split(self, steps: int) -> tuple["Leg", "Leg"]:
        """The first `steps` steps and the rest; running both equals running this leg, bit for bit.

        Raises SamplingError `split-out-of-range` unless both parts keep at least one step.
        """
        if not 0 < steps < self.steps:
            raise SamplingError(
                "split-out-of-range",
                f"A leg of {self.steps} steps can't be split after {steps}.",
                hint=f"Split after 1 to {self.steps - 1} steps.",
            )
        head = self.model_copy(update={"steps": steps, "final": False, "clears": False})
        return head, self.without_first(steps)

    def without_first(self, steps: int) -> "Leg":
        """This leg without its first `steps` steps."""
        moved = {
            "first_step": self.first_step + steps,
            "steps": self.steps - steps,
            "guidance_first": self.guidance_first + steps,
        }
        return self.model_copy(update=moved)


def plan_legs(
    stages: Sequence[Stage],
    strength: float = 1.0,
    final_sigma: FinalSigma = "checkpoint",
    schedule_steps: int | None = None,
) -> tuple[Leg, ...]:
    """The legs that run `stages` one after the other.

    `schedule_steps` are the steps of the reference schedule; None: as many as the stages have together. `strength` 0..1
    is how much of it runs, for image to image: of N steps the last int(N * strength), as in diffusers. Strength 0 gives
    no legs. `final_sigma` "sigma_min" ends at the model's smallest training sigma; "checkpoint" does so where the
    model's configuration (`set_alpha_to_one`, `final_sigmas_type`) or the first solver's algorithm has it. Stages with
    ranges of their own are not shortened here: `plan_start` says where sampling starts, and what lies above is left out
    when it runs.

    Raises SamplingError: `no-stages`, `strength-out-of-range`, `stages-off-schedule`, `sigma-ranges-mixed`,
    `sigma-ranges-not-descending`, `custom-sigmas`, `guider-solver`.
    """
    if not stages:
        raise SamplingError("no-stages", "Sampling needs at least one stage, found none.", hint="Add a stage.")
    if not 0 <= strength <= 1:
        raise SamplingError(
            "strength-out-of-range",
            f"The strength must be between 0 and 1, found {strength}.",
            hint="Use 0 to keep the latents, 1 to start from noise.",
        )
    total = schedule_steps or sum(stage.steps for stage in stages)
    if any(stage.custom for stage in stages):
        return _custom_legs(stages, strength, final_sigma)
    if _check_ranges(stages):
        return _ranged_legs(stages, final_sigma) if int(total * strength) else ()
    legs: list[Leg] = []
    for stage, (begin, end) in zip(stages, _parts(stages, total), strict=True):
        leg = _part(stage, stages[0].solver, begin, end, total, final_sigma)
        drop = stage.steps - _running(stage.steps, begin, end, total, strength)
        if drop < stage.steps:
            legs.append(leg.without_first(drop) if drop else leg)
    return tuple(legs)


def plan_start(
    stages: Sequence[Stage],
    strength: float = 1.0,
    final_sigma: FinalSigma = "checkpoint",
    schedule_steps: int | None = None,
) -> Leg | None:
    """The leg at whose first sigma sampling starts; None: no step is to be taken. Arguments and errors as `plan_legs`.

    That is the first leg, except for stages with ranges of their own at a strength below 1: these start where the
    reference schedule does at that strength.
    """
    legs = plan_legs(stages, strength, final_sigma, schedule_steps)
    if not legs or strength == 1 or not _check_ranges(stages):
        return legs[0] if legs else None
    total = schedule_steps or sum(stage.steps for stage in stages)
    whole = stages[0].model_copy(update={"steps": total, "sigma_end": None})
    return plan_legs([whole], strength, final_sigma)[0]


def _parts(stages: Sequence[Stage], total: int) -> list[tuple[int, int]]:
    """Between which steps of the reference schedule each stage lies."""
    parts: list[tuple[int, int]] = []
    begin = 0
    for number, stage in enumerate(stages, start=1):
        last = number == len(stages)
        end = total if last else begin + stage.steps
        if stage.until is not None:
            end = round(stage.until * total)
        if not begin < end or (end >= total and not last):
            raise _off_schedule(number, begin, end, total)
        parts.append((begin, end))
        begin = end
    return parts


def _part(stage: Stage, spaced_for: SolverName, begin: int, end: int, total: int, final_sigma: FinalSigma) -> Leg:
    """A stage between two steps of the reference schedule of `total` steps."""
    leg = _leg(stage, spaced_for, final_sigma, final=end == total)
    if stage.steps == end - begin:
        return leg.model_copy(update={"total_steps": total, "first_step": begin})
    if (begin, end) == (0, total):
        return leg
    leaves = Position(step=end, steps=total) if end < total else None
    return leg.model_copy(update={"enters": Position(step=begin, steps=total), "leaves": leaves})


def _running(steps: int, begin: int, end: int, total: int, strength: float) -> int:
    """How many of a stage's steps run at a strength: the last ones."""
    if (begin, end) == (0, total):
        return min(int(steps * strength), steps)
    skipped = total - int(total * strength)
    return min(max(int(steps * (end - skipped) / (end - begin)), 0), steps)


def _ranged_legs(stages: Sequence[Stage], final_sigma: FinalSigma) -> tuple[Leg, ...]:
    """Stages with ranges of their own."""
    starts = [None, *(stage.sigma_end for stage in stages[:-1])]
    legs = [_leg(stage, stage.solver, final_sigma, final=stage.sigma_end is None) for stage in stages]
    return tuple(leg.model_copy(update={"sigma_start": start}) for leg, start in zip(legs, starts, strict=True))


def _custom_legs(stages: Sequence[Stage], strength: float, final_sigma: FinalSigma) -> tuple[Leg, ...]:
    """Stages whose noise levels are written out; the first of their steps are left out at a strength below 1."""
    for number, stage in enumerate(stages, start=1):
        _check_custom(stage, number, last=number == len(stages))
    total = sum(stage.steps for stage in stages)
    dropped = total - int(total * strength)
    legs: list[Leg] = []
    for number, stage in enumerate(stages, start=1):
        last = number == len(stages)
        end = None if last or stage.custom_sigmas is None else stage.custom_sigmas[-1]
        leg = _leg(stage, stage.solver, final_sigma, final=last).model_copy(update={"sigma_end": end})
        if dropped < stage.steps:
            legs.append(leg.without_first(dropped) if dropped else leg)
        dropped = max(dropped - stage.steps, 0)
    return tuple(legs)


def _check_custom(stage: Stage, number: int, last: bool) -> None:
    """Raise SamplingError `custom-sigmas` unless the stage's own levels say all that is needed, alone."""
    count = len(stage.custom_sigmas) - 1 if stage.custom_sigmas else len(stage.custom_timesteps or ())
    if stage.custom_sigmas is None and (stage.custom_timesteps is None or not last):
        problem, hint = (
            "has none where other stages have theirs written out",
            "Give every stage custom_sigmas, or none.",
        )
    elif stage.custom_sigmas is not None and stage.custom_timesteps is not None:
        problem, hint = "has both custom_sigmas and custom_timesteps", "Give one of the two."
    elif stage.sigma_end is not None or stage.until is not None:
        problem, hint = "has an end of its own beside sigma_end or until", "Leave sigma_end and until out."
    elif count != stage.steps:
        problem, hint = f"is for {count} steps, and the stage has {stage.steps}", f"Leave steps out, or set {count}."
    else:
        return
    raise SamplingError("custom-sigmas", f"The schedule of stage {number} {problem}.", hint=hint, port="stages")


def _leg(stage: Stage, spaced_for: SolverName, final_sigma: FinalSigma, final: bool) -> Leg:
    """A stage that runs a schedule of its own from the model's largest sigma."""
    require_solver(stage.guider, stage.solver)
    return Leg(
        solver=stage.solver,
        eta=_eta(stage),
        sigmas=stage.sigmas,
        spaced_for=spaced_for,
        sigma_start=None,
        sigma_end=stage.sigma_end,
        total_steps=stage.steps,
        first_step=0,
        steps=stage.steps,
        guidance=stage.guidance,
        guider=stage.guider,
        early_stop=stage.early_stop,
        guidance_first=0,
        guidance_steps=stage.steps,
        final=final,
        final_sigma=final_sigma,
        custom_sigmas=stage.custom_sigmas,
        custom_timesteps=stage.custom_timesteps,
        shift=stage.shift,
        model=stage.model,
    )


def _eta(stage: Stage) -> float:
    """What a stage's solver takes; 0 for those that take none."""
    usual = ETA_DEFAULTS.get(stage.solver)
    return 0.0 if usual is None else usual if stage.eta is None else stage.eta


def _off_schedule(stage: int, begin: int, end: int, total: int) -> SamplingError:
    """The error for a stage whose part of the reference schedule is empty, or leaves nothing to the stages after."""
    return SamplingError(
        "stages-off-schedule",
        f"Stage {stage} would run from step {begin} to step {end} of the schedule's {total}; it must hand over after "
        f"step {begin} and before step {total}.",
        hint="Say with `until` where it hands over, give the stages before fewer steps, or use a longer schedule.",
        port="stages",
    )


def _check_ranges(stages: Sequence[Stage]) -> bool:
    """Whether the stages have sigma ranges of their own."""
    ends = [stage.sigma_end for stage in stages]
    given = [end for end in ends if end is not None]
    if not given:
        return False
    if any(stage.until is not None for stage in stages):
        raise SamplingError(
            "sigma-ranges-mixed",
            "Some stages say where they end by `sigma_end`, others by `until`.",
            hint="Use one of the two for all stages.",
        )
    if None in ends[:-1]:
        missing = [str(index + 1) for index, end in enumerate(ends[:-1]) if end is None]
        raise SamplingError(
            "sigma-ranges-mixed",
            f"Some stages say where they end and stage {', '.join(missing)} does not.",
            hint="Give every stage but the last a sigma_end, or none of them.",
        )
    if any(left <= right for left, right in pairwise(given)):
        raise SamplingError(
            "sigma-ranges-not-descending",
            f"The stages must end at descending sigmas, found {', '.join(str(end) for end in given)}.",
            hint="Noise only decreases: give each stage a smaller sigma_end than the one before.",
        )
    return True
