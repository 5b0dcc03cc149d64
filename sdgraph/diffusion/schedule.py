"""The noise schedule that a model was trained with: how much noise each timestep means, and what the network predicts.

Three kinds exist: `VariancePreserving` (Stable Diffusion 1, 2 and XL), `FlowMatching` (Stable Diffusion 3, FLUX) and
`Edm` (Playground v2.5, CosXL). Who samples asks the schedule, and never which kind it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from sdgraph.diffusion.noise_path import NoisePath, signal_level

if TYPE_CHECKING:
    from sdgraph.diffusion.variance_preserving import VariancePreserving

BetaKind = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]
PredictionType = Literal["epsilon", "v_prediction", "sample", "flow", "edm"]
Spacing = Literal["trailing", "leading", "linspace"]
TimestepGrid = Literal["continuous", "whole", "whole_extra", "whole_linspace", "whole_unipc", "lcm"]
"""Which timesteps a solver is used with in diffusers. `continuous`: fractions allowed. `whole`: rounded. `whole_extra`:
rounded, and spaced as if there were one more step at the clean end. `whole_linspace`: the same, always with `linspace`
spacing. `whole_unipc`: the same as `whole_extra`, except for flow matching. `lcm`: those that latent consistency models
are distilled at."""


@dataclass(frozen=True, eq=False, kw_only=True)
class NoiseSchedule(ABC):
    """Noise levels by training timestep, and how x and predictions are to be read."""

    prediction: PredictionType
    spacing: Spacing
    """How the model's makers space timesteps when sampling."""
    steps_offset: int = 0
    """Timesteps that `leading` spacing is moved up by."""
    alpha_to_one: bool = True
    """Whether solvers of the DDIM family end without noise; otherwise at the smallest sigma (`set_alpha_to_one`)."""
    ends_at_zero: bool = True
    """Whether the other solvers do (`final_sigmas_type`)."""

    path: ClassVar[NoisePath]
    """How x is made of signal and noise; see `noise_path`."""
    fractions: ClassVar[bool] = False
    """Whether the network is trained at any time, so that none is rounded."""
    data_deviation = 1.0
    """Standard deviation of the data, as the network's inputs and outputs take it to be."""

    @staticmethod
    def from_config(config: Mapping[str, object]) -> NoiseSchedule:
        """The schedule that the fields of a diffusers `scheduler_config.json` describe; other fields are ignored.

        Raises SamplingError `scheduler-config` when a field has a value that is not known.
        """
        from sdgraph.diffusion.scheduler_config import read_schedule  # it imports the kinds, which import this

        return read_schedule(config)

    @staticmethod
    def from_betas(
        kind: BetaKind = "scaled_linear",
        start: float = 0.00085,
        end: float = 0.012,
        count: int = 1000,
        zero_terminal_snr: bool = False,
        prediction: PredictionType = "epsilon",
        spacing: Spacing = "leading",
        steps_offset: int = 0,
    ) -> VariancePreserving:
        """A variance preserving schedule of `count` timesteps; the defaults are those of Stable Diffusion 1.x.

        `zero_terminal_snr` rescales so that the last timestep is pure noise (Lin et al. 2023, arXiv:2305.08891,
        algorithm 1).
        """
        from sdgraph.diffusion.variance_preserving import VariancePreserving, alphas_from_betas

        alphas_cumprod = alphas_from_betas(kind, start, end, count, zero_terminal_snr)
        return VariancePreserving(
            alphas_cumprod=alphas_cumprod, prediction=prediction, spacing=spacing, steps_offset=steps_offset
        )

    @cached_property
    def training_sigmas(self) -> Tensor:
        """[T] float32, ascending: the sigma of every training timestep."""
        return self._training_sigmas()

    @abstractmethod
    def _training_sigmas(self) -> Tensor: ...

    @property
    def count(self) -> int:
        """How many training timesteps there are."""
        return len(self.training_sigmas)

    @property
    def sigma_min(self) -> float:
        """The smallest sigma above 0 that the model was trained at."""
        return float(self.training_sigmas[0])

    @property
    def sigma_max(self) -> float:
        """The largest sigma that the model was trained at."""
        return float(self.training_sigmas[-1])

    def alpha(self, sigma: float) -> float:
        """The signal level at `sigma`: x = alpha * x0 + sigma * noise."""
        return signal_level(self.path, sigma)

    def for_latents(self, height: int, width: int) -> NoiseSchedule:
        """The schedule for latents of this size; another one only where the model's noise levels depend on the size."""
        del height, width
        return self

    @abstractmethod
    def sigma_of(self, timesteps: Tensor) -> Tensor:
        """Sigmas [n] float32 of timesteps [n]."""

    @abstractmethod
    def timestep_of(self, sigma: Tensor) -> Tensor:
        """Timesteps float32 of sigmas, of the same shape and on the same device."""

    @abstractmethod
    def progress_of(self, timestep: float) -> float:
        """How far denoising has come at `timestep`: 0 at the noisiest one, towards 1 at the cleanest."""

    def share_done(self, timestep_start: float, timestep: float) -> float:
        """How much of the way from `timestep_start` to the end is done at `timestep`, 0..1."""
        return (timestep_start - timestep) / (timestep_start + 1)

    @abstractmethod
    def input_scale(self, sigma: Tensor) -> Tensor:
        """What x is divided by for the network, of the shape of `sigma`."""

    @abstractmethod
    def noise_scale(self, sigma: float, exploding: bool) -> float:
        """How strong pure noise is when sampling starts from it at `sigma`, by the conventions of diffusers.

        `exploding`: the solver belongs to the Euler family, and the timesteps are not spaced `leading`.
        """

    @abstractmethod
    def spaced(self, name: Spacing | None, steps: int, grid: TimestepGrid, to_zero: bool) -> npt.NDArray[np.float64]:
        """[steps] descending sigmas at evenly spaced timesteps; `name` None is the model's own spacing.

        `to_zero`: one more step leads to sigma 0; otherwise to the smallest sigma.
        """

    @abstractmethod
    def shape_ends(self, steps: int) -> tuple[float, float]:
        """The largest and the smallest of `steps` sigmas above 0 that a shaped schedule (Karras, ...) runs between."""

    @abstractmethod
    def evenly_between(self, top: float, bottom: float, points: int) -> npt.NDArray[np.float64]:
        """[points] sigmas from `top` to `bottom`, evenly spaced in time, with exact ends."""
