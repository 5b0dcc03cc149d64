"""What stages can't be: errors in how they divide a schedule, or in the noise levels that they write out. No torch."""

from collections.abc import Sequence
from itertools import pairwise

from sdgraph.diffusion.stage import Stage
from sdgraph.errors import SamplingError


def check_custom(stage: Stage, number: int, last: bool) -> None:
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
    elif count < 1 or any(
        higher <= lower for higher, lower in pairwise(stage.custom_sigmas or stage.custom_timesteps or ())
    ):
        problem, hint = "does not descend through one step at least", "List levels from the noisiest to the cleanest."
    else:
        return
    raise SamplingError("custom-sigmas", f"The schedule of stage {number} {problem}.", hint=hint)


def off_schedule(stage: int, begin: int, end: int, total: int) -> SamplingError:
    """The error for a stage whose part of the reference schedule is empty, or leaves nothing to the stages after."""
    return SamplingError(
        "stages-off-schedule",
        f"Stage {stage} would run from step {begin} to step {end} of the schedule's {total}; it must hand over after "
        f"step {begin} and before step {total}.",
        hint="Say with `until` where it hands over, give the stages before fewer steps, or use a longer schedule.",
        port="stages",
    )


def has_ranges(stages: Sequence[Stage]) -> bool:
    """Whether the stages have sigma ranges of their own.

    Raises SamplingError `sigma-ranges-mixed`, `sigma-ranges-not-descending`.
    """
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
