"""Reading a diffusers `scheduler_config.json`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from sdgraph.diffusion.edm import Edm
from sdgraph.diffusion.fits import is_edm, is_flow
from sdgraph.diffusion.flow_matching import DynamicShift, FlowMatching
from sdgraph.diffusion.schedule import BetaKind, NoiseSchedule, Spacing
from sdgraph.errors import SamplingError


class _Config(BaseModel, ABC):
    """Fields of a configuration that decide a schedule."""

    @abstractmethod
    def schedule(self) -> NoiseSchedule: ...


class _VariancePreservingConfig(_Config):
    """The fields that decide a variance preserving schedule, with diffusers' defaults."""

    beta_schedule: BetaKind = "linear"
    beta_start: float = Field(0.0001, gt=0, lt=1)
    beta_end: float = Field(0.02, gt=0, lt=1)
    num_train_timesteps: int = Field(1000, ge=2)
    rescale_betas_zero_snr: bool = False
    prediction_type: Literal["epsilon", "v_prediction", "sample"] = "epsilon"
    timestep_spacing: Spacing = "leading"
    steps_offset: int = Field(0, ge=0)
    set_alpha_to_one: bool = True
    final_sigmas_type: Literal["zero", "sigma_min"] = "zero"

    def schedule(self) -> NoiseSchedule:
        schedule = NoiseSchedule.from_betas(
            self.beta_schedule,
            self.beta_start,
            self.beta_end,
            self.num_train_timesteps,
            self.rescale_betas_zero_snr,
            self.prediction_type,
            self.timestep_spacing,
            self.steps_offset,
        )
        return replace(schedule, alpha_to_one=self.set_alpha_to_one, ends_at_zero=self.final_sigmas_type == "zero")


class _FlowConfig(_Config):
    """The fields that decide a flow matching schedule, with diffusers' defaults."""

    num_train_timesteps: int = Field(1000, ge=2)
    shift: float = Field(1.0, gt=0, allow_inf_nan=False)
    flow_shift: float | None = Field(None, gt=0, allow_inf_nan=False)
    """What schedulers with `use_flow_sigmas` call the shift."""
    use_dynamic_shifting: bool = False
    base_shift: float = 0.5
    max_shift: float = 1.15
    base_image_seq_len: int = Field(256, ge=1)
    max_image_seq_len: int = Field(4096, ge=2)
    time_shift_type: Literal["exponential", "linear"] = "exponential"
    shift_terminal: float | None = Field(None, gt=0, lt=1)
    timestep_spacing: Spacing | None = None
    """No field of diffusers' own flow schedulers, whose pipelines decide: Stable Diffusion 3's `linspace`, FLUX's
    `trailing`. None: `trailing` where the shift is dynamic."""

    def schedule(self) -> NoiseSchedule:
        dynamic = None
        if self.use_dynamic_shifting:
            dynamic = DynamicShift(
                self.base_shift, self.max_shift, self.base_image_seq_len, self.max_image_seq_len, self.time_shift_type
            )
        return FlowMatching(
            spacing=self.timestep_spacing or ("trailing" if dynamic else "linspace"),
            shift=dynamic.at(self.max_image_seq_len) if dynamic else (self.flow_shift or self.shift),
            dynamic=dynamic,
            terminal=self.shift_terminal,
            timestep_count=self.num_train_timesteps,
        )


class _EdmConfig(_Config):
    """The fields that decide a schedule in EDM's formulation, with diffusers' defaults."""

    sigma_min: float = Field(0.002, gt=0, allow_inf_nan=False)
    sigma_max: float = Field(80.0, gt=0, allow_inf_nan=False)
    sigma_data: float = Field(0.5, gt=0, allow_inf_nan=False)
    sigma_schedule: Literal["karras", "exponential"] = "karras"
    num_train_timesteps: int = Field(1000, ge=2)
    prediction_type: Literal["epsilon", "v_prediction"] = "epsilon"
    """`epsilon` is what EDM's networks predict, which is no noise."""
    rho: float = Field(7.0, gt=0, allow_inf_nan=False)
    final_sigmas_type: Literal["zero", "sigma_min"] = "zero"

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.sigma_min >= self.sigma_max:
            raise ValueError(f"sigma_min must be below sigma_max, which is {self.sigma_max:g}")
        return self

    def schedule(self) -> NoiseSchedule:
        return Edm(
            prediction="edm" if self.prediction_type == "epsilon" else "v_prediction",
            smallest=self.sigma_min,
            largest=self.sigma_max,
            data_deviation=self.sigma_data,
            shape=self.sigma_schedule,
            rho=self.rho,
            level_count=self.num_train_timesteps,
            ends_at_zero=self.final_sigmas_type == "zero",
        )


def read_schedule(config: Mapping[str, object]) -> NoiseSchedule:
    """The schedule of a configuration; flow matching and EDM are told by the scheduler's class, flow matching also by
    `use_flow_sigmas`.

    Raises SamplingError `scheduler-config` when a field has a value that is not known.
    """
    kind: type[_Config] = _VariancePreservingConfig
    if is_flow(config) or is_edm(config):
        kind = _FlowConfig if is_flow(config) else _EdmConfig
    try:
        return kind.model_validate(dict(config)).schedule()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "sigma_min"
        raise SamplingError(
            "scheduler-config",
            f"The scheduler configuration has `{name}` = {_shown(first['input'], name)}: {first['msg']}.",
            hint="Use a scheduler configuration of a Stable Diffusion or FLUX model.",
        ) from error


def _shown(found: object, name: str) -> str:
    """The value of a field: of the whole configuration, when it is the combination that is wrong."""
    return repr(found.get(name) if isinstance(found, Mapping) else found)
