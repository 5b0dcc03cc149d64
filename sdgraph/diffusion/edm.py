"""Schedules of models in the formulation of EDM (Playground v2.5, CosXL).

`x = x0 + sigma noise` with sigma from 0.002 to 80 and no training timesteps: the network is shown log(sigma) / 4, and
what it predicts is mixed with x so that it has unit variance at every noise level (Karras et al. 2022,
arXiv:2206.00364, section 5 and table 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sdgraph.diffusion.noise_path import NoisePath
from sdgraph.diffusion.schedule import NoiseSchedule, PredictionType, Spacing, TimestepGrid

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Edm(NoiseSchedule):
    """Noise levels between two bounds, spaced by Karras' formula or evenly in their logarithm."""

    prediction: PredictionType = "edm"
    spacing: Spacing = "trailing"
    smallest: float = 0.002
    largest: float = 80.0
    data_deviation: float = 0.5
    """Standard deviation of the data, sigma_data of the paper."""
    shape: Literal["karras", "exponential"] = "karras"
    """How the model's makers space noise levels when sampling."""
    rho: float = 7.0
    level_count: int = 1000
    """How many noise levels count as the model's own."""

    path: ClassVar[NoisePath] = "exploding"
    fractions: ClassVar[bool] = True

    def _training_sigmas(self) -> Tensor:
        return torch.from_numpy(self._levels(self.level_count)[::-1].copy()).float()

    @property
    def sigma_min(self) -> float:
        """The smallest sigma above 0."""
        return self.smallest

    @property
    def sigma_max(self) -> float:
        """The largest sigma."""
        return self.largest

    def sigma_of(self, timesteps: Tensor) -> Tensor:
        """Sigmas [n] float32 of what the network is shown [n]: c_noise of the paper, log(sigma) / 4."""
        return (timesteps.double() * 4).exp().float()

    def timestep_of(self, sigma: Tensor) -> Tensor:
        """c_noise of the paper float32: log(sigma) / 4."""
        return (sigma.double().clamp(min=1e-10).log() / 4).float()

    def progress_of(self, timestep: float) -> float:
        """By the model's own spacing: step i of N starts at i / (N - 1)."""
        here = float(np.exp(4 * timestep))
        top, bottom = self._unshaped(self.largest), self._unshaped(self.smallest)
        return float(np.clip((top - self._unshaped(here)) / (top - bottom), 0.0, 1.0))

    def share_done(self, timestep_start: float, timestep: float) -> float:
        """By the model's own spacing."""
        begun = self.progress_of(timestep_start)
        return (self.progress_of(timestep) - begun) / (1 - begun) if begun < 1 else 1.0

    def input_scale(self, sigma: Tensor) -> Tensor:
        """The network wants unit variance."""
        return sigma.square().add(self.data_deviation**2).sqrt()

    def noise_scale(self, sigma: float, exploding: bool) -> float:
        """As diffusers' EDM schedulers have it, whatever the solver."""
        del exploding
        return (sigma**2 + 1) ** 0.5

    def spaced(self, name: Spacing | None, steps: int, grid: TimestepGrid, to_zero: bool) -> Floats:
        """[steps] sigmas: the model's own spacing, or evenly in log(sigma) with the ends that the name says."""
        del grid, to_zero
        if name is None:
            return self._levels(steps)
        if name == "linspace" or steps == 1:
            return self.evenly_between(self.largest, self.smallest, steps)
        levels = self.evenly_between(self.largest, self.smallest, steps + 1)
        return levels[:-1] if name == "trailing" else levels[1:]

    def shape_ends(self, steps: int) -> tuple[float, float]:
        """All of the model's sigmas."""
        return self.largest, self.smallest

    def evenly_between(self, top: float, bottom: float, points: int) -> Floats:
        """Evenly in log(sigma)."""
        return np.geomspace(top, bottom, points)

    def _levels(self, points: int) -> Floats:
        """[points] descending sigmas of the model's own spacing."""
        ends = np.linspace(self._unshaped(self.largest), self._unshaped(self.smallest), points)
        levels = np.exp(ends) if self.shape == "exponential" else ends**self.rho
        levels[-1] = self.smallest
        levels[0] = self.largest
        return levels

    def _unshaped(self, sigma: float) -> float:
        """What is even in the model's own spacing."""
        return float(np.log(sigma)) if self.shape == "exponential" else sigma ** (1 / self.rho)
