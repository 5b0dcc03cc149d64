"""Changing all stages of a sampler at once: their steps together, and the level of their guidance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from sdgraph.diffusion.guidance_schedule import (
    ConstantGuidance,
    CosineGuidance,
    GuidanceSchedule,
    IntervalGuidance,
    LinearGuidance,
    PiecewiseGuidance,
)
from sdgraph.diffusion.stage import Stage
from sdgraph.errors import SamplingError


def with_steps(stages: Sequence[Stage], steps: int, schedule_steps: int) -> tuple[Stage, ...]:
    """The stages, written for a schedule of `schedule_steps`, stretched or shrunk to one of `steps`.

    Boundaries between stages that are given by numbers of steps move from k to round(k * steps / schedule_steps), and
    each stage keeps at least one step; other stages have their own numbers multiplied. A single stage has all the
    steps. What the stages after a stage are never counts, and how many there are only where the boundary would leave
    them less than a step each. Stages beyond the schedule's end stay beyond it, for `plan_legs` to refuse. Raises
    SamplingError `steps-fewer-than-stages`.
    """
    if len(stages) > steps:
        raise SamplingError(
            "steps-fewer-than-stages",
            f"Each of the {len(stages)} stages needs a step, found {steps} steps.",
            f"Use {len(stages)} steps or more.",
            port="steps",
        )
    if len(stages) == 1:
        return (stages[0].model_copy(update={"steps": steps}),)
    factor = steps / schedule_steps
    if any(stage.sigma_end is not None or stage.until is not None for stage in stages):
        return tuple(_stretched(stage, factor) for stage in stages)
    before = list(accumulate(stage.steps for stage in stages))
    ends = [0, *_stretched_ends(before[:-1], steps, schedule_steps)]
    shared = [
        stage.model_copy(update={"steps": end - start})
        for stage, (start, end) in zip(stages, pairwise(ends), strict=False)
    ]
    fits, left = before[-1] == schedule_steps, steps - ends[-1]
    last = stages[-1].model_copy(update={"steps": left}) if fits else _stretched(stages[-1], factor)
    return (*shared, last)


def _stretched_ends(ends: Sequence[int], steps: int, schedule_steps: int) -> list[int]:
    """Where all stages but the last end: in steps of the stretched schedule, from those of the one as written."""
    moved: list[int] = []
    for number, end in enumerate(ends):
        nearest = max(round(end * steps / schedule_steps), moved[-1] + 1 if moved else 1)
        reserved = steps - (len(ends) - number)
        moved.append(min(nearest, reserved) if end < schedule_steps else max(nearest, steps))
    return moved


def _stretched(stage: Stage, factor: float) -> Stage:
    return stage.model_copy(update={"steps": max(round(stage.steps * factor), 1)})


def with_guidance(stages: Sequence[Stage], peak: float) -> tuple[Stage, ...]:
    """The stages with the guidance of the first guided one reaching `peak`.

    What is added to 1, where guidance does nothing, is scaled by one factor everywhere. It depends on the first guided
    stage alone, so editing a later stage leaves the earlier ones as they are. Stages with CFG++, whose scale is of
    another kind, stay as they are. Raises SamplingError `no-guided-stage` when no other stage has a guidance besides 1.
    """
    scalable = [stage for stage in stages if stage.guider.kind != "cfg_pp"]
    found = next((highest for stage in scalable if (highest := _highest(stage.guidance)) != 1), None)
    if found is None:
        raise SamplingError(
            "no-guided-stage",
            "The guidance of every stage is 1, or that of CFG++, so there is nothing that could be scaled.",
            "Leave `guidance` empty and set it in the stages.",
            port="guidance",
        )
    factor = (peak - 1) / (found - 1)
    return tuple(
        stage
        if stage.guider.kind == "cfg_pp"
        else stage.model_copy(update={"guidance": _scaled(stage.guidance, found, peak, factor)})
        for stage in stages
    )


def is_unguided(schedule: GuidanceSchedule) -> bool:
    """Whether the guidance is 1 throughout, so that the negative conditioning has no effect."""
    match schedule:
        case ConstantGuidance() | IntervalGuidance():
            return schedule.scale == 1
        case LinearGuidance() | CosineGuidance():
            return schedule.start == schedule.end == 1
        case PiecewiseGuidance():
            return all(scale == 1 for _, scale in schedule.points)


def _highest(schedule: GuidanceSchedule) -> float:
    match schedule:
        case ConstantGuidance() | IntervalGuidance():
            return schedule.scale
        case LinearGuidance() | CosineGuidance():
            return max(schedule.start, schedule.end)
        case PiecewiseGuidance():
            return max(scale for _, scale in schedule.points)


def _scaled(schedule: GuidanceSchedule, found: float, peak: float, factor: float) -> GuidanceSchedule:
    def scale(old: float) -> float:
        return peak if old == found else 1 + (old - 1) * factor  # the peak is hit exactly, without rounding

    match schedule:
        case ConstantGuidance() | IntervalGuidance():
            return schedule.model_copy(update={"scale": scale(schedule.scale)})
        case LinearGuidance() | CosineGuidance():
            return schedule.model_copy(update={"start": scale(schedule.start), "end": scale(schedule.end)})
        case PiecewiseGuidance():
            points = tuple((progress, scale(old)) for progress, old in schedule.points)
            return schedule.model_copy(update={"points": points})
