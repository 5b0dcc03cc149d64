"""Courses of noise levels that are given by a formula or a table, and not by a model's timesteps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sdgraph.diffusion.names import SigmaName

Floats: TypeAlias = npt.NDArray[np.float64]


def karras(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Floats:
    """[steps] from `sigma_max` to `sigma_min`, dense at the clean end (Karras et al. 2022, arXiv:2206.00364, eq. 5)."""
    ramp = np.linspace(0, 1, steps)
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return (high + ramp * (low - high)) ** rho


def exponential(steps: int, sigma_min: float, sigma_max: float) -> Floats:
    """[steps] from `sigma_max` to `sigma_min`, evenly spaced in log sigma."""
    return np.exp(np.linspace(math.log(sigma_max), math.log(sigma_min), steps))


def beta(steps: int, sigma_min: float, sigma_max: float, shape: float = 0.6) -> Floats:
    """[steps] from `sigma_max` to `sigma_min` at quantiles of the Beta(shape, shape) distribution: dense at both ends
    (Lee et al. 2024, "Beta Sampling is All You Need", arXiv:2407.12173).
    """
    return sigma_min + _beta_quantiles(1 - np.linspace(0, 1, steps), shape) * (sigma_max - sigma_min)


def kl_optimal(steps: int, sigma_min: float, sigma_max: float) -> Floats:
    """[steps] from `sigma_max` to `sigma_min`, evenly spaced in the arc tangent of sigma: optimal in the KL divergence
    for Gaussian data of unit variance (Sabour et al. 2024, "Align Your Steps", arXiv:2404.14507, section 3.1).
    """
    return np.tan(np.linspace(math.atan(sigma_max), math.atan(sigma_min), steps))


SHAPES: dict[SigmaName, Callable[[int, float, float], Floats]] = {
    "karras": karras,
    "exponential": exponential,
    "beta": beta,
    "kl_optimal": kl_optimal,
}

ALIGNED: dict[SigmaName, tuple[float, ...]] = {
    "ays_sd1": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152),
    "ays_sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113),
}
"""The sigmas of 10 steps that Sabour et al. 2024 found for Stable Diffusion 1.5 and XL, without the last one, 0."""

_ROUNDED = 1e-3
"""In places of a table: a bound so near to one of its sigmas, which are published with few digits, is that sigma."""


def aligned(name: SigmaName, points: int, sigma_max: float, sigma_min: float, model_min: float) -> Floats:
    """[points] from `sigma_max` to `sigma_min` along the table of that name, log-linear between its sigmas.

    That is its authors' advice for other numbers of steps. The table goes on to the model's smallest sigma.
    """
    table = np.log(np.array([*ALIGNED[name], model_min]))
    places = np.arange(len(table), dtype=np.float64)
    ends = np.interp(np.log([sigma_min, sigma_max]), table[::-1], places[::-1])
    whole = ends.round()
    ends = np.where(np.abs(ends - whole) < _ROUNDED, whole, ends)
    return np.exp(np.interp(np.linspace(ends[1], ends[0], points), places, table))


def _beta_quantiles(probabilities: Floats, shape: float) -> Floats:
    # The density x^(a-1) (1-x)^(a-1) is singular at 0; in u = x^a it is not. Half the distribution suffices: it is
    # symmetric around 1/2.
    u = np.linspace(0, 0.5**shape, 20_001)
    x = u ** (1 / shape)
    density = (1 - x) ** (shape - 1)
    cumulative = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    cumulative *= 0.5 / cumulative[-1]
    lower = np.interp(np.minimum(probabilities, 1 - probabilities), cumulative, u) ** (1 / shape)
    return np.where(probabilities > 0.5, 1 - lower, lower)
