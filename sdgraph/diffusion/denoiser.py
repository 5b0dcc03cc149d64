"""The one contract that solvers know, and the wrapper that makes a trained network fulfil it.

A denoiser takes noisy latents `x = alpha * x0 + sigma * noise` (see `noise_path`) and says what x0 is, in expectation.
Networks want x in their own scale and a timestep, and predict noise, velocity or x0; `ModelDenoiser` converts once, in
one place (Karras et al. 2022, arXiv:2206.00364, section 5 and table 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import torch
from torch import Tensor

from sdgraph.diffusion.schedule import NoiseSchedule, PredictionType

Denoiser: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(x [B, C, h, w], sigma [B]) -> denoised [B, C, h, w]."""

C = TypeVar("C")

Network: TypeAlias = Callable[[Tensor, Tensor, tuple[C, ...]], Tensor]
"""(scaled x [k*B, C, h, w], timestep [k*B] float32, k conditionings) -> prediction [k*B, C, h, w].

Items j*B to (j+1)*B are to be predicted under conditioning j. Joining the conditionings is the network's business; they
are opaque here.
"""


@dataclass(frozen=True, eq=False)
class ModelDenoiser(Generic[C]):
    """A network with conditioning, seen as a denoiser."""

    network: Network[C]
    schedule: NoiseSchedule
    whole_timesteps: bool = False
    """Round timesteps before the network sees them, as diffusers does with some solvers; not for networks that are
    trained at fractions."""

    def denoise(self, x: Tensor, sigma: Tensor, conditionings: tuple[C, ...]) -> tuple[Tensor, ...]:
        """The denoised latents [B, C, h, w] under each conditioning, from one forward of the network.

        `x` is [B, C, h, w] with noise of standard deviation `sigma` [B].
        """
        times = len(conditionings)
        timestep = self.schedule.timestep_of(sigma)
        timestep = timestep.round() if self.whole_timesteps and not self.schedule.fractions else timestep
        scaled = x / self.schedule.input_scale(_spread(sigma, x))
        prediction = self.network(scaled.repeat(times, 1, 1, 1), timestep.repeat(times), conditionings)
        return tuple(self.from_prediction(part, x, sigma) for part in prediction.to(x.dtype).chunk(times))

    def from_prediction(self, prediction: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """The denoised latents that a prediction at `x`, `sigma` amounts to."""
        return denoised_from_prediction(self.schedule.prediction, prediction, x, sigma, self.schedule.data_deviation)

    def to_prediction(self, denoised: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """The prediction that amounts to `denoised`; the inverse of `from_prediction`."""
        return prediction_from_denoised(self.schedule.prediction, denoised, x, sigma, self.schedule.data_deviation)


def denoised_from_prediction(
    kind: PredictionType, prediction: Tensor, x: Tensor, sigma: Tensor, data: float = 1.0
) -> Tensor:
    """x0 from noise, velocity (Salimans & Ho 2022, arXiv:2202.00512, appendix D), x0, a flow's velocity noise - x0, or
    an EDM network's answer (Karras et al. 2022, arXiv:2206.00364, equation 7); all [B, C, h, w].

    `data` is the data's standard deviation. EDM's answer is the velocity with the other sign.
    """
    s = _spread(sigma, x)
    match kind:
        case "epsilon" | "flow":  # x0 + s * noise with the one, (1 - s) * x0 + s * noise with the other
            return x - s * prediction
        case "v_prediction" | "edm":
            out = (s * data) / (s**2 + data**2).sqrt()
            return x * data**2 / (s**2 + data**2) + prediction * (out if kind == "edm" else -out)
        case "sample":
            return prediction


def prediction_from_denoised(
    kind: PredictionType, denoised: Tensor, x: Tensor, sigma: Tensor, data: float = 1.0
) -> Tensor:
    """The inverse of `denoised_from_prediction`; all [B, C, h, w]."""
    s = _spread(sigma, x)
    match kind:
        case "epsilon" | "flow":
            return (x - denoised) / s
        case "v_prediction" | "edm":
            left = (x * data**2 / (s**2 + data**2) - denoised) * ((s**2 + data**2).sqrt() / (s * data))
            return -left if kind == "edm" else left
        case "sample":
            return denoised


def _spread(sigma: Tensor, x: Tensor) -> Tensor:
    """[B] -> [B, 1, 1, 1]."""
    return sigma.to(x.dtype).reshape(-1, *[1] * (x.dim() - 1))


def sigma_for(x: Tensor, sigma: float) -> Tensor:
    """The same sigma for every item of `x` [B, ...]: a float32 tensor [B] on its device."""
    return torch.full((x.shape[0],), sigma, dtype=torch.float32, device=x.device)
