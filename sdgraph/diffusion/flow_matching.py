"""Schedules of flow matching models (Stable Diffusion 3, FLUX).

`x = (1 - sigma) x0 + sigma noise`, the network predicts the velocity `noise - x0`, and a training timestep is 1000
sigma. Pictures of more pixels need more noise to hide the same content, so times are shifted towards the noisy end:
`sigma = s t / (1 + (s - 1) t)` (Esser et al. 2024, arXiv:2403.03206, section 5.3.2), by a fixed s or by one that grows
with the size of the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sdgraph.diffusion.noise_path import NoisePath
from sdgraph.diffusion.schedule import NoiseSchedule, PredictionType, Spacing, TimestepGrid

_PATCH = 2
"""Latents per token of the transformer, in each direction."""


@dataclass(frozen=True)
class DynamicShift:
    """A shift that grows with the number of the transformer's tokens."""

    base: float = 0.5
    """mu at `base_tokens`."""
    most: float = 1.15
    """mu at `most_tokens`."""
    base_tokens: int = 256
    most_tokens: int = 4096
    kind: Literal["exponential", "linear"] = "exponential"
    """The shift is e^mu, or mu itself."""

    def at(self, tokens: int) -> float:
        """The shift for so many tokens; mu is linear in them."""
        slope = (self.most - self.base) / (self.most_tokens - self.base_tokens)
        mu = tokens * slope + (self.base - slope * self.base_tokens)
        return math.exp(mu) if self.kind == "exponential" else mu


@dataclass(frozen=True, eq=False, kw_only=True)
class FlowMatching(NoiseSchedule):
    """Noise levels 0..1 on the straight path from data to noise."""

    prediction: PredictionType = "flow"
    spacing: Spacing = "linspace"
    shift: float = 1.0
    """s of the module's formula: 1 leaves times as they are, 3 is that of Stable Diffusion 3."""
    dynamic: DynamicShift | None = None
    """Where the shift comes from when it depends on the size; `shift` is then that of the largest size."""
    terminal: float | None = None
    """The sigma that the last step starts from, when schedules are stretched to it."""
    timestep_count: int = 1000

    path: ClassVar[NoisePath] = "flow"
    fractions: ClassVar[bool] = True

    def for_latents(self, height: int, width: int) -> FlowMatching:
        """With the shift for latents of this size, where it depends on that."""
        if self.dynamic is None:
            return self
        return replace(self, shift=self.dynamic.at((height // _PATCH) * (width // _PATCH)))

    def with_shift(self, shift: float) -> FlowMatching:
        """With a fixed shift in place of the model's own."""
        return replace(self, shift=shift, dynamic=None)

    def _training_sigmas(self) -> Tensor:
        times = torch.arange(1, self.timestep_count + 1, dtype=torch.float32) / self.timestep_count
        return self.shift * times / (1 + (self.shift - 1) * times)

    def sigma_of(self, timesteps: Tensor) -> Tensor:
        """Sigmas [n] float32 of timesteps [n]."""
        return (timesteps.double() / self.timestep_count).float()

    def timestep_of(self, sigma: Tensor) -> Tensor:
        """Timesteps float32 of sigmas."""
        return sigma.float() * self.timestep_count

    def progress_of(self, timestep: float) -> float:
        """1 - t, with the shift taken back: step i of N evenly spaced ones starts at progress i / N."""
        sigma = timestep / self.timestep_count
        return 1 - sigma / (self.shift - (self.shift - 1) * sigma)

    def input_scale(self, sigma: Tensor) -> Tensor:
        """1: the network takes x as it is."""
        return torch.ones_like(sigma)

    def noise_scale(self, sigma: float, exploding: bool) -> float:
        """1 at any sigma."""
        del sigma, exploding
        return 1.0

    def spaced(self, name: Spacing | None, steps: int, grid: TimestepGrid, to_zero: bool) -> npt.NDArray[np.float64]:
        """[steps] sigmas, shifted: `trailing` from 1 to 1 / steps as FLUX has it, `linspace` from 1 to the smallest
        sigma as Stable Diffusion 3 has it, and `leading` one step below `trailing`.

        With solvers whose timesteps are whole, the model's own spacing is what diffusers calls flow sigmas.
        """
        del to_zero
        even = np.linspace(1, 1 / self.timestep_count, steps + 1)
        if name is None and grid in ("whole_extra", "whole_linspace"):
            times = (1.0 - even)[::-1][:-1]
        elif name is None and grid == "whole_unipc":
            times = even[:-1]
        else:
            times = self._times(name or self.spacing, steps)
        sigmas = _shifted(times, self.shift)
        return sigmas if self.terminal is None else _stretched(sigmas, self.terminal)

    def shape_ends(self, steps: int) -> tuple[float, float]:
        """Those of the model's own spacing."""
        ends = self.spaced(None, steps, "continuous", to_zero=True)
        return float(ends[0]), float(ends[-1])

    def evenly_between(self, top: float, bottom: float, points: int) -> npt.NDArray[np.float64]:
        """Evenly spaced before the shift."""
        ends = _shifted(np.array([top, bottom]), 1 / self.shift)
        levels = _shifted(np.linspace(ends[0], ends[1], points), self.shift)
        levels[-1] = bottom
        levels[0] = top
        return levels

    def _times(self, spacing: Spacing, steps: int) -> npt.NDArray[np.float64]:
        match spacing:
            case "trailing":
                return np.linspace(1.0, 1 / steps, steps)
            case "leading":
                return np.linspace(1.0 - 1 / (steps + 1), 1 / (steps + 1), steps)
            case "linspace":
                # As diffusers has it, a fixed shift moves the smallest sigma twice.
                lowest = 1 / self.timestep_count if self.dynamic else self.sigma_min
                return np.linspace(self.timestep_count, lowest * self.timestep_count, steps) / self.timestep_count


def _shifted(times: npt.NDArray[np.float64], shift: float) -> npt.NDArray[np.float64]:
    """Moved towards the noisy end; the inverse has the shift 1 / shift."""
    return shift * times / (1 + (shift - 1) * times)


def _stretched(sigmas: npt.NDArray[np.float64], terminal: float) -> npt.NDArray[np.float64]:
    """The same course, ending at `terminal` instead (as LTX-Video's schedule does)."""
    signal = 1 - sigmas
    return 1 - signal * ((1 - terminal) / signal[-1])
