"""Evenly spaced training timesteps, in the ways that schedulers space them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sdgraph.diffusion.levels_fit import DISTILLED_STEPS
from sdgraph.diffusion.schedule import Spacing, TimestepGrid
from sdgraph.errors import SamplingError


def spaced_timesteps(
    spacing: Spacing, steps: int, count: int, offset: int, grid: TimestepGrid, to_zero: bool
) -> npt.NDArray[np.float64]:
    """[steps] descending timesteps of 0..count-1 (Lin et al. 2023, arXiv:2305.08891, table 2).

    `offset` moves `leading` timesteps up. `to_zero`: sigma 0 comes after them; otherwise the smallest sigma does.
    Raises SamplingError `steps-out-of-range` when a distilled model has not so many timesteps.
    """
    if grid == "lcm":
        return _lcm_timesteps(count, steps)
    extra = steps + 1 if grid in ("whole_extra", "whole_linspace", "whole_unipc") else steps
    match spacing:
        case "trailing":
            descending = count - np.arange(steps) * (count / steps)
            return descending.round().astype(np.float64) - 1
        case "leading":
            spaced = np.arange(extra) * (count // extra) + offset
        case "linspace":
            # Linspace reaches timestep 0, unless the smallest sigma is the end of the schedule anyway.
            spaced = np.linspace(0, count - 1, extra if to_zero else steps + 1)
            spaced = spaced.astype(np.float32) if grid == "continuous" else spaced.round()
    return spaced[::-1][:steps].astype(np.float64)


def steps_out_of_range(steps: int, most: int) -> SamplingError:
    """The error for more steps than a schedule has."""
    return SamplingError(
        "steps-out-of-range",
        f"This schedule takes 1 to {most} steps, found {steps}.",
        hint=f"Use at most {most} steps.",
    )


def _lcm_timesteps(count: int, steps: int) -> npt.NDArray[np.float64]:
    """[steps] of the 50 timesteps of consistency distillation (Luo et al. 2023, arXiv:2310.04378, section 4.3)."""
    if steps > DISTILLED_STEPS:
        raise steps_out_of_range(steps, DISTILLED_STEPS)
    distilled = np.arange(1, DISTILLED_STEPS + 1) * (count // DISTILLED_STEPS) - 1
    picked = np.floor(np.linspace(0, DISTILLED_STEPS, num=steps, endpoint=False)).astype(np.int64)
    return distilled[::-1][picked].astype(np.float64)
