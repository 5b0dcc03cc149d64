"""From stages as a user writes them to legs that can run and be cached. No torch.

Two ways to divide a trajectory:

* Without `sigma_end`, the stages are parts of one reference schedule of a fixed number of steps, spaced as suits the
  first one's solver. A stage hands over where the reference schedule is after `until` of it, or else after as many
  steps as the stage has; the last one leads to the end. A stage with as many steps as its part has is a slice of the
  reference schedule, and with another number it spaces its own between the same ends. Where two stages name different
  schedules, the later one takes up its own where the latents are.
* With `sigma_end` on every stage but the last, each stage has its own steps between its own bounds.
"""

from collections.abc import Sequence

from sdgraph.diffusion.guider_specs import require_solver
from sdgraph.diffusion.leg import Leg, Position
from sdgraph.diffusion.names import ETA_DEFAULTS, FinalSigma, SolverName
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stage_checks import check_custom, has_ranges, off_schedule
from sdgraph.errors import SamplingError


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
    if has_ranges(stages):
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
    if not legs or strength == 1 or not has_ranges(stages):
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
            raise off_schedule(number, begin, end, total)
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
        check_custom(stage, number, last=number == len(stages))
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
