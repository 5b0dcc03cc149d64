"""Sigma schedules: the noise levels that sampling passes through, as data.

`Sigmas` is a strictly descending float32 tensor [n + 1]; n steps lead from each value to the next. It ends in 0, unless
it is a part of a longer schedule or ends at the model's smallest sigma.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sdgraph.diffusion.schedule import NoiseSchedule, Spacing, TimestepGrid
from sdgraph.diffusion.stages import FinalSigma, SigmaName
from sdgraph.diffusion.timesteps import steps_out_of_range
from sdgraph.errors import SamplingError

Sigmas: TypeAlias = Tensor
_Floats: TypeAlias = npt.NDArray[np.float64]

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
    final: FinalSigma = "zero",
) -> Sigmas:
    """Sigmas [steps + 1] of the schedule called `name`, from the model's largest sigma to 0 (or to its smallest).

    Raises SamplingError `steps-out-of-range` when the model's training timesteps don't suffice for so many steps.
    """
    if not 1 <= steps <= schedule.count:
        raise steps_out_of_range(steps, schedule.count)
    if name in _SPACINGS:
        levels = schedule.spaced(_SPACINGS[name], steps, grid, to_zero=final == "zero")
        return _checked(np.append(levels, 0.0 if final == "zero" else schedule.sigma_min))
    if final == "zero" and name in _SHAPES:
        top, bottom = schedule.shape_ends(steps)
        return _checked(np.append(_SHAPES[name](steps, bottom, top), 0.0))
    return build_range(schedule, name, steps, final=final)


def build_range(
    schedule: NoiseSchedule,
    name: SigmaName,
    steps: int,
    start: float | None = None,
    end: float | None = None,
    final: FinalSigma = "zero",
) -> Sigmas:
    """Sigmas [steps + 1] spaced like the schedule called `name`, from sigma `start` to sigma `end`.

    `start` None is the model's largest sigma. `end` None goes through the model's smallest sigma to the final one.
    Raises SamplingError `sigma-range` when the bounds are not descending sigmas of the model.
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
    # The shaped schedules pass through the smallest sigma on their way to 0; those even in time go to 0 instead of it.
    points = steps if name in _SHAPES else steps + 1
    return _checked(np.append(_spaced(schedule, name, points, top, bottom)[:steps], 0.0))


def truncate(sigmas: Sigmas, strength: float) -> Sigmas:
    """The last int(n * strength) of the n steps, the rule of diffusers' image to image; strength 0 leaves no step."""
    steps = len(sigmas) - 1
    return sigmas[steps - min(int(steps * strength), steps) :]


def slice_by_sigma(sigmas: Sigmas, high: float, low: float) -> Sigmas:
    """The part of `sigmas` with high >= sigma >= low."""
    return sigmas[(sigmas <= high) & (sigmas >= low)]


def karras(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> _Floats:
    """[steps] from `sigma_max` to `sigma_min`, dense at the clean end (Karras et al. 2022, arXiv:2206.00364, eq. 5)."""
    ramp = np.linspace(0, 1, steps)
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return (high + ramp * (low - high)) ** rho


def exponential(steps: int, sigma_min: float, sigma_max: float) -> _Floats:
    """[steps] from `sigma_max` to `sigma_min`, evenly spaced in log sigma."""
    return np.exp(np.linspace(math.log(sigma_max), math.log(sigma_min), steps))


def beta(steps: int, sigma_min: float, sigma_max: float, shape: float = 0.6) -> _Floats:
    """[steps] from `sigma_max` to `sigma_min` at quantiles of the Beta(shape, shape) distribution: dense at both ends
    (Lee et al. 2024, "Beta Sampling is All You Need", arXiv:2407.12173).
    """
    return sigma_min + _beta_quantiles(1 - np.linspace(0, 1, steps), shape) * (sigma_max - sigma_min)


def _beta_quantiles(probabilities: _Floats, shape: float) -> _Floats:
    # The density x^(a-1) (1-x)^(a-1) is singular at 0; in u = x^a it is not. Half the distribution suffices: it is
    # symmetric around 1/2.
    u = np.linspace(0, 0.5**shape, 20_001)
    x = u ** (1 / shape)
    density = (1 - x) ** (shape - 1)
    cumulative = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    cumulative *= 0.5 / cumulative[-1]
    lower = np.interp(np.minimum(probabilities, 1 - probabilities), cumulative, u) ** (1 / shape)
    return np.where(probabilities > 0.5, 1 - lower, lower)


_SHAPES: dict[SigmaName, Callable[[int, float, float], _Floats]] = {
    "karras": karras,
    "exponential": exponential,
    "beta": beta,
}


def _spaced(schedule: NoiseSchedule, name: SigmaName, points: int, top: float, bottom: float) -> _Floats:
    """[points] from `top` to `bottom`, spaced in the way of the schedule called `name`."""
    shape = _SHAPES.get(name)
    return shape(points, bottom, top) if shape else _even_in_time(schedule, points, top, bottom)


def _even_in_time(schedule: NoiseSchedule, points: int, top: float, bottom: float) -> _Floats:
    """[points] evenly spaced in time, with exact ends."""
    first, last = schedule.timestep_of(torch.tensor([top, bottom])).tolist()
    levels = schedule.sigma_of(torch.linspace(first, last, points, dtype=torch.float64)).double().numpy()
    levels[-1] = bottom
    levels[0] = top
    return levels


def _checked(levels: _Floats) -> Sigmas:
    sigmas = torch.from_numpy(levels.astype(np.float32))
    if bool((sigmas[:-1] <= sigmas[1:]).any()):
        raise SamplingError(
            "sigmas-not-descending",
            f"{len(sigmas) - 1} steps are too many for these sigmas: some of them coincide.",
            hint="Use fewer steps or another sigma schedule.",
        )
    return sigmas
