"""Parts of a trajectory that are placed by hand: steps of a schedule, or a range of noise levels. No torch."""

from sdgraph.diffusion.leg import Leg
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.errors import SamplingError


def steps_between(stage: Stage, first: int, last: int | None, *, clears: bool = False) -> Leg:
    """Steps `first` to `last` (None: the end) of the schedule of a stage; `clears`: the last one removes all noise.

    Guidance runs its course over the part. Raises SamplingError `steps-of-schedule` when there is no such part.
    """
    (whole,) = plan_legs([stage])
    end = stage.steps if last is None else min(last, stage.steps)
    if first >= end:
        raise SamplingError(
            "steps-of-schedule",
            f"Steps {first} to {end} of a schedule of {stage.steps} are none.",
            hint="Let the part begin before it ends, and before the schedule does.",
            port="first_step",
        )
    final = end == stage.steps
    update = {
        "first_step": first,
        "steps": end - first,
        "guidance_steps": end - first,
        "final": final or clears,
        "clears": clears and not final,
    }
    return whole.model_copy(update=update)


def range_between(stage: Stage, start: float | None, end: float | None) -> Leg:
    """The steps of a stage spread from sigma `start` (None: the model's largest) to `end` (None: no noise).

    Raises SamplingError `sigma-range` unless the noise decreases.
    """
    if start is not None and end is not None and start <= end:
        raise SamplingError(
            "sigma-range",
            f"The part begins at sigma {start:g} and ends at {end:g}; noise only decreases.",
            hint="Let it begin at the larger one.",
            port="sigma_start",
        )
    (whole,) = plan_legs([stage.model_copy(update={"sigma_end": end})])
    return whole.model_copy(update={"sigma_start": start})
