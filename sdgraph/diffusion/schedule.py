"""The noise schedule that a model was trained with: how much noise each timestep means.

Variance preserving training `x_t = sqrt(a_t) x0 + sqrt(1 - a_t) noise` is the same as `x0 + sigma_t noise` after
division by `sqrt(a_t)`, with `sigma_t = sqrt((1 - a_t) / a_t)` (Karras et al. 2022, arXiv:2206.00364, appendix C.1).
Betas and their product are computed in float32, as the models' training code did, so the sigmas agree to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, Field, ValidationError
from torch import Tensor

from sdgraph.errors import SamplingError

BetaKind = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]
PredictionType = Literal["epsilon", "v_prediction", "sample"]
Spacing = Literal["trailing", "leading", "linspace"]

# Zero terminal SNR means an infinite last sigma; this is the smallest half-precision number, which gives sigma 4096.
_SMALLEST_ALPHA_CUMPROD = 2.0**-24
# A sigma is stored in float32, so a whole training timestep comes back as 980.9999.
_WHOLE_TIMESTEP_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """Signal and noise per training timestep, and what the network predicts."""

    alphas_cumprod: Tensor
    """[T] float32, descending: the share of the signal's variance that is left at each timestep."""
    prediction: PredictionType = "epsilon"
    spacing: Spacing = "leading"
    """How the model's makers space timesteps when sampling."""
    steps_offset: int = 0
    """Timesteps that `leading` spacing is moved up by."""

    @classmethod
    def from_betas(
        cls,
        kind: BetaKind = "scaled_linear",
        start: float = 0.00085,
        end: float = 0.012,
        count: int = 1000,
        zero_terminal_snr: bool = False,
        prediction: PredictionType = "epsilon",
        spacing: Spacing = "leading",
        steps_offset: int = 0,
    ) -> NoiseSchedule:
        """A schedule of `count` timesteps; the defaults are those of Stable Diffusion 1.x.

        `zero_terminal_snr` rescales so that the last timestep is pure noise (Lin et al. 2023, arXiv:2305.08891,
        algorithm 1).
        """
        alphas_cumprod = torch.cumprod(1.0 - _betas(kind, start, end, count), dim=0)
        if zero_terminal_snr:
            alphas_cumprod = _rescaled_to_zero_snr(alphas_cumprod)
        return cls(alphas_cumprod, prediction, spacing, steps_offset)

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> NoiseSchedule:
        """The schedule that the fields of a diffusers `scheduler_config.json` describe; other fields are ignored.

        Raises SamplingError `scheduler-config` when a field has a value that is not known.
        """
        try:
            fields = _SchedulerConfig.model_validate(dict(config))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise SamplingError(
                "scheduler-config",
                f"The scheduler configuration has `{name}` = {first['input']!r}: {first['msg']}.",
                hint="Use a scheduler configuration of a Stable Diffusion model.",
            ) from error
        return cls.from_betas(
            fields.beta_schedule,
            fields.beta_start,
            fields.beta_end,
            fields.num_train_timesteps,
            fields.rescale_betas_zero_snr,
            fields.prediction_type,
            fields.timestep_spacing,
            fields.steps_offset,
        )

    @cached_property
    def training_sigmas(self) -> Tensor:
        """[T] float32, ascending: the sigma of every training timestep."""
        return ((1 - self.alphas_cumprod) / self.alphas_cumprod) ** 0.5

    @property
    def count(self) -> int:
        """How many training timesteps there are."""
        return len(self.alphas_cumprod)

    @property
    def sigma_min(self) -> float:
        return float(self.training_sigmas[0])

    @property
    def sigma_max(self) -> float:
        return float(self.training_sigmas[-1])

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
        """How far denoising has come at `timestep`: 0 at the noisiest one, towards 1 at the cleanest.

        With `trailing` spacing, step i of N starts at progress i / N; so this is what start and end of a control mean.
        """
        return 1 - (timestep + 1) / self.count

    @cached_property
    def _log_sigmas(self) -> Tensor:
        return self.training_sigmas.double().log()


class _SchedulerConfig(BaseModel):
    """The fields of a scheduler configuration that decide the noise schedule, with diffusers' defaults."""

    beta_schedule: BetaKind = "linear"
    beta_start: float = Field(0.0001, gt=0, lt=1)
    beta_end: float = Field(0.02, gt=0, lt=1)
    num_train_timesteps: int = Field(1000, ge=2)
    rescale_betas_zero_snr: bool = False
    prediction_type: PredictionType = "epsilon"
    timestep_spacing: Spacing = "leading"
    steps_offset: int = Field(0, ge=0)


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
