"""Schedules of variance preserving models.

Variance preserving training `x_t = sqrt(a_t) x0 + sqrt(1 - a_t) noise` is the same as `x0 + sigma_t noise` after
division by `sqrt(a_t)`, with `sigma_t = sqrt((1 - a_t) / a_t)` (Karras et al. 2022, arXiv:2206.00364, appendix C.1).
Betas and their product are computed in float32, as the models' training code did, so the sigmas agree to the last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sdgraph.diffusion.noise_path import NoisePath
from sdgraph.diffusion.schedule import BetaKind, NoiseSchedule, Spacing, TimestepGrid
from sdgraph.diffusion.timesteps import spaced_timesteps

# Zero terminal SNR means an infinite last sigma; this is the smallest half-precision number, which gives sigma 4096.
_SMALLEST_ALPHA_CUMPROD = 2.0**-24
# A sigma is stored in float32, so a whole training timestep comes back as 980.9999.
_WHOLE_TIMESTEP_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False, kw_only=True)
class VariancePreserving(NoiseSchedule):
    """Signal and noise of a constant total variance; x is divided by the signal level (`exploding`)."""

    alphas_cumprod: Tensor
    """[T] float32, descending: the share of the signal's variance that is left at each timestep."""

    path: ClassVar[NoisePath] = "exploding"

    def _training_sigmas(self) -> Tensor:
        return ((1 - self.alphas_cumprod) / self.alphas_cumprod) ** 0.5

    def sigma_of(self, timesteps: Tensor) -> Tensor:
        """Sigmas [n] float32 of timesteps [n]; between training timesteps linear in sigma, as diffusers has it."""
        known = self.training_sigmas.numpy()
        return torch.from_numpy(np.interp(timesteps.numpy(), np.arange(self.count), known).astype(np.float32))

    def timestep_of(self, sigma: Tensor) -> Tensor:
        """Timesteps float32 of sigmas, of the same shape and on the same device; linear in log sigma between training
        timesteps and clamped to them. A result within 0.001 of a whole timestep is that timestep.
        """
        known = self._log_sigmas.to(sigma.device)
        log_sigma = sigma.double().clamp(min=1e-10).log()
        low = (torch.searchsorted(known, log_sigma, right=True) - 1).clamp(0, self.count - 2)
        share = ((log_sigma - known[low]) / (known[low + 1] - known[low])).clamp(0, 1)
        timestep = low + share
        whole = timestep.round()
        return torch.where((timestep - whole).abs() < _WHOLE_TIMESTEP_TOLERANCE, whole, timestep).float()

    def progress_of(self, timestep: float) -> float:
        """With `trailing` spacing, step i of N starts at progress i / N; so this is what start and end of a control
        mean.
        """
        return 1 - (timestep + 1) / self.count

    def input_scale(self, sigma: Tensor) -> Tensor:
        """The network wants unit variance."""
        return sigma.square().add(1).sqrt()

    def noise_scale(self, sigma: float, exploding: bool) -> float:
        """Unit variance before the division by the signal level, or sigma itself."""
        return sigma if exploding else (sigma**2 + 1) ** 0.5

    def spaced(self, name: Spacing | None, steps: int, grid: TimestepGrid, to_zero: bool) -> npt.NDArray[np.float64]:
        """See `timesteps.spaced_timesteps`."""
        spacing = name or ("linspace" if grid == "whole_linspace" else self.spacing)
        if name is not None and grid == "lcm":
            grid = "whole"
        timesteps = spaced_timesteps(spacing, steps, self.count, self.steps_offset, grid, to_zero)
        return self.sigma_of(torch.from_numpy(timesteps)).double().numpy()

    def shape_ends(self, steps: int) -> tuple[float, float]:
        """All of the model's sigmas."""
        return self.sigma_max, self.sigma_min

    def evenly_between(self, top: float, bottom: float, points: int) -> npt.NDArray[np.float64]:
        """Evenly spaced in timesteps, fractions allowed."""
        first, last = self.timestep_of(torch.tensor([top, bottom])).tolist()
        levels = self.sigma_of(torch.linspace(first, last, points, dtype=torch.float64)).double().numpy()
        levels[-1] = bottom
        levels[0] = top
        return levels

    @cached_property
    def _log_sigmas(self) -> Tensor:
        return self.training_sigmas.double().log()


def alphas_from_betas(kind: BetaKind, start: float, end: float, count: int, zero_terminal_snr: bool) -> Tensor:
    """[count] float32: the share of the signal's variance that is left after each timestep of noise."""
    alphas_cumprod = torch.cumprod(1.0 - _betas(kind, start, end, count), dim=0)
    return _rescaled_to_zero_snr(alphas_cumprod) if zero_terminal_snr else alphas_cumprod


def _betas(kind: BetaKind, start: float, end: float, count: int) -> Tensor:
    match kind:
        case "linear":
            return torch.linspace(start, end, count, dtype=torch.float32)
        case "scaled_linear":
            return torch.linspace(start**0.5, end**0.5, count, dtype=torch.float32) ** 2
        case "squaredcos_cap_v2":
            ratios = [_cosine_alpha((i + 1) / count) / _cosine_alpha(i / count) for i in range(count)]
            return torch.tensor([min(1 - ratio, 0.999) for ratio in ratios], dtype=torch.float32)


def _cosine_alpha(t: float) -> float:
    """Signal share at time `t` 0..1 (Nichol & Dhariwal 2021, arXiv:2102.09672, equation 17)."""
    return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2


def _rescaled_to_zero_snr(alphas_cumprod: Tensor) -> Tensor:
    root = alphas_cumprod.sqrt()
    rescaled = ((root - root[-1]) * (root[0] / (root[0] - root[-1]))) ** 2
    return rescaled.clamp(min=_SMALLEST_ALPHA_CUMPROD)
