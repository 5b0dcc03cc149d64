"""Sigma schedules: the noise levels that sampling passes through, as data.

`Sigmas` is a strictly descending float32 tensor [n + 1]; n steps lead from each value to the next. It ends in 0, unless
it is a part of a longer schedule or ends at the model's smallest sigma.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from sdgraph.diffusion.fits import require_sigmas_fit
from sdgraph.diffusion.names import SigmaName
from sdgraph.diffusion.schedule import NoiseSchedule, Spacing, TimestepGrid
from sdgraph.diffusion.sigma_shapes import ALIGNED, SHAPES, Floats, aligned
from sdgraph.diffusion.timesteps import steps_out_of_range
from sdgraph.errors import SamplingError

Sigmas: TypeAlias = Tensor
Final: TypeAlias = Literal["zero", "sigma_min"]

_SPACINGS: dict[SigmaName, Spacing | None] = {
    "checkpoint": None,
    "trailing": "trailing",
    "leading": "leading",
    "linspace": "linspace",
}


def build_sigmas(
    schedule: NoiseSchedule,
    name: SigmaName,
    steps: int,
    grid: TimestepGrid = "continuous",
    final: Final = "zero",
) -> Sigmas:
    """Sigmas [steps + 1] of the schedule called `name`, from the model's largest sigma to 0 (or to its smallest).

    Raises SamplingError `steps-out-of-range` when the model's training timesteps don't suffice for so many steps, and
    `sigmas-family` for a table of another kind of model.
    """
    if not 1 <= steps <= schedule.count:
        raise steps_out_of_range(steps, schedule.count)
    if name in _SPACINGS:
        levels = schedule.spaced(_SPACINGS[name], steps, grid, to_zero=final == "zero")
    elif name in ("simple", "ddim_uniform"):
        levels = schedule.training_sigmas.double().numpy()[_picked(name, steps, schedule.count)]
    elif name in SHAPES and final == "zero":
        top, bottom = schedule.shape_ends(steps)
        levels = SHAPES[name](steps, bottom, top)
    else:
        return build_range(schedule, name, steps, final=final)
    return _ended(levels, schedule, final)


def build_range(
    schedule: NoiseSchedule,
    name: SigmaName,
    steps: int,
    start: float | None = None,
    end: float | None = None,
    final: Final = "zero",
) -> Sigmas:
    """Sigmas [steps + 1] spaced like the schedule called `name`, from sigma `start` to sigma `end`.

    `start` None is the model's largest sigma. `end` None goes through the model's smallest sigma to the final one.
    Raises SamplingError `sigma-range` when the bounds are not descending sigmas of the model, and `sigmas-family` for a
    table of another kind of model.
    """
    top = schedule.sigma_max if start is None else start
    bottom = schedule.sigma_min if end is None else end
    if not schedule.sigma_min <= bottom < top <= schedule.sigma_max:
        raise SamplingError(
            "sigma-range",
            f"A stage from sigma {top:g} to {bottom:g} does not descend within the model's sigmas"
            f" {schedule.sigma_min:g} to {schedule.sigma_max:g}.",
            hint="Choose sigma_end between the model's smallest sigma and the sigma where the stage begins.",
        )
    if end is not None or final == "sigma_min":
        return _checked(_spaced(schedule, name, steps + 1, top, bottom))
    # The shaped schedules pass through the smallest sigma on their way to 0; the others go to 0 instead of it.
    points = steps if name in SHAPES else steps + 1
    return _checked(np.append(_spaced(schedule, name, points, top, bottom)[:steps], 0.0))


def custom_sigmas(schedule: NoiseSchedule, sigmas: Sequence[float]) -> Sigmas:
    """Sigmas [n + 1] as given: descending, of the model, the last one may be 0.

    Raises SamplingError `custom-sigmas`.
    """
    top = schedule.sigma_max * (1 + 1e-4)  # published sigmas are rounded
    levels = np.array(sigmas, dtype=np.float64)
    if len(levels) < 2 or not np.isfinite(levels).all() or (np.diff(levels) >= 0).any():
        raise _custom("descend, and there must be at least two of them", sigmas)
    if levels[0] > top or levels[-1] < 0:
        raise _custom(f"lie within the model's, {schedule.sigma_min:g} to {schedule.sigma_max:g}, or be 0", sigmas)
    return _checked(levels)


def custom_timesteps(schedule: NoiseSchedule, timesteps: Sequence[float], final: Final = "zero") -> Sigmas:
    """Sigmas [n + 1] of n given timesteps, which descend, and the final one.

    Raises SamplingError `custom-sigmas`.
    """
    times = torch.tensor(timesteps, dtype=torch.float64)
    top, bottom = schedule.timestep_of(torch.tensor([schedule.sigma_max, schedule.sigma_min])).tolist()
    if len(times) < 1 or not bool(times.isfinite().all()) or bool((times.diff() >= 0).any()):
        raise _custom("descend", timesteps, "timesteps")
    if times[0] > top or times[-1] < bottom:
        raise _custom(f"lie within the model's, {bottom:g} to {top:g}", timesteps, "timesteps")
    return _ended(schedule.sigma_of(times).double().numpy(), schedule, final)


def truncate(sigmas: Sigmas, strength: float) -> Sigmas:
    """The last int(n * strength) of the n steps, the rule of diffusers' image to image; strength 0 leaves no step."""
    steps = len(sigmas) - 1
    return sigmas[steps - min(int(steps * strength), steps) :]


def slice_by_sigma(sigmas: Sigmas, high: float, low: float) -> Sigmas:
    """The part of `sigmas` with high >= sigma >= low."""
    return sigmas[(sigmas <= high) & (sigmas >= low)]


def _spaced(schedule: NoiseSchedule, name: SigmaName, points: int, top: float, bottom: float) -> Floats:
    """[points] from `top` to `bottom`, spaced in the way of the schedule called `name`."""
    if name in SHAPES:
        return SHAPES[name](points, bottom, top)
    if name in ALIGNED:
        require_sigmas_fit(name, schedule.path == "flow")
        return aligned(name, points, top, bottom, schedule.sigma_min)
    return schedule.evenly_between(top, bottom, points)


def _picked(name: SigmaName, steps: int, count: int) -> list[int]:
    """Places of [steps] of the model's training sigmas, noisiest first.

    `simple` is trailing, `ddim_uniform` leading with an offset of 1; both round down, as k-diffusion's users know them.
    """
    if name == "simple":
        return [count - 1 - step * count // steps for step in range(steps)]
    offset = 1 if steps < count else 0
    return [offset + (count // steps) * step for step in reversed(range(steps))]


def _ended(levels: Floats, schedule: NoiseSchedule, final: Final) -> Sigmas:
    """The levels and where they end: without noise, or at the smallest sigma unless that is reached already.

    Where it is, diffusers takes a step of no length; here the last evaluation removes the rest of the noise.
    """
    smallest = schedule.sigma_min
    return _checked(np.append(levels, smallest if final == "sigma_min" and levels[-1] > smallest else 0.0))


def _checked(levels: Floats) -> Sigmas:
    sigmas = torch.from_numpy(levels.astype(np.float32))
    if bool((sigmas[:-1] <= sigmas[1:]).any()):
        raise SamplingError(
            "sigmas-not-descending",
            f"{len(sigmas) - 1} steps are too many for these sigmas: some of them coincide.",
            hint="Use fewer steps or another sigma schedule.",
        )
    return sigmas


def _custom(must: str, found: Sequence[float], what: str = "sigmas") -> SamplingError:
    shown = ", ".join(f"{value:g}" for value in found[:12])
    return SamplingError(
        "custom-sigmas",
        f"Custom {what} must {must}, found {shown or 'none'}{', ...' if len(found) > 12 else ''}.",
        hint=f"Give {what} from the noisiest to the cleanest.",
    )
