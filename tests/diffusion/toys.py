"""Denoisers with a known answer, and networks that count: sampling can be judged without any weights."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor

from sdgraph.diffusion.denoiser import ModelDenoiser
from sdgraph.diffusion.guidance import FIRST_STEP, Guided, StepContext
from sdgraph.diffusion.noise_path import NoisePath, signal_level
from sdgraph.diffusion.perturbation import Perturbation
from sdgraph.diffusion.schedule import NoiseSchedule, PredictionType

SD = NoiseSchedule.from_betas(steps_offset=1)
"""The schedule of Stable Diffusion 1.x."""


class GaussianGuider:
    """The ideal denoiser of data N(mu, s^2), at any guidance scale: (s^2 x + sigma^2 mu) / (s^2 + sigma^2) where x is
    x0 + sigma noise, and the same with the signal level for other paths.
    """

    def __init__(self, mu: float = 0.7, s: float = 0.5, path: NoisePath = "exploding") -> None:
        self.mu, self.s = mu, s
        self.path: NoisePath = path

    def guide(self, x: Tensor, sigma: Tensor, scale: float, at: StepContext = FIRST_STEP) -> Guided:
        level = sigma.to(x.dtype).reshape(-1, 1, 1, 1)
        signal = 1 - level if self.path == "flow" else torch.ones_like(level)
        spread = (signal * self.s) ** 2 + level**2
        return Guided((signal * self.s**2 * x + level**2 * self.mu) / spread, nfe=1)

    def evaluations(self, scale: float, at: StepContext = FIRST_STEP) -> int:
        return 1

    def exact(self, x: Tensor, sigma: float, sigma_end: float) -> Tensor:
        """Where the probability flow ODE leads from x at `sigma`."""
        signal, signal_end = signal_level(self.path, sigma), signal_level(self.path, sigma_end)
        shrink = (((signal_end * self.s) ** 2 + sigma_end**2) / ((signal * self.s) ** 2 + sigma**2)) ** 0.5
        return signal_end * self.mu + (x - signal * self.mu) * shrink


class MixtureNetwork:
    """The exact network of a mixture of two Gaussians per value; each conditioning shifts the mixture.

    Predicts noise (or velocity) at variance preserving x [N, C, h, w] and timesteps [N]; remembers its calls.
    """

    def __init__(self, prediction: PredictionType = "epsilon", schedule: NoiseSchedule = SD) -> None:
        self.means, self.weights, self.spread = torch.tensor([-1.0, 1.5]), torch.tensor([0.4, 0.6]), 0.25
        self.prediction = prediction
        self.log_sigmas = schedule.training_sigmas.double().log()
        self.batches: list[int] = []
        self.orders: list[tuple[float, ...]] = []

    def __call__(self, x: Tensor, timestep: Tensor, conditionings: tuple[float, ...]) -> Tensor:
        self.batches.append(len(x))
        self.orders.append(conditionings)
        shift = torch.tensor(conditionings).repeat_interleave(len(x) // len(conditionings)).reshape(-1, 1, 1, 1)
        eps, signal, noise = self._noise(x, timestep.reshape(-1, 1, 1, 1).double(), shift)
        if self.prediction == "epsilon":
            return eps.float()
        return ((eps - noise * x) / signal).float()

    def _noise(self, x: Tensor, timestep: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        low = timestep.floor().clamp(0, len(self.log_sigmas) - 2).long()
        share = timestep - low
        sigma = ((1 - share) * self.log_sigmas[low] + share * self.log_sigmas[low + 1]).exp()
        signal_share = 1 / (sigma**2 + 1)
        signal, noise = signal_share.sqrt(), (1 - signal_share).sqrt()
        variance = (signal_share * self.spread**2 + 1 - signal_share)[..., None]
        distance = x[..., None] - signal[..., None] * (self.means + shift[..., None])
        share_of_mode = torch.softmax(self.weights.log() - distance**2 / (2 * variance), -1)
        return (share_of_mode * distance / variance).sum(-1) * noise, signal, noise


class FlowMixtureNetwork:
    """`MixtureNetwork` for flow matching: predicts noise - x0 at x [N, C, h, w] = (1 - sigma) x0 + sigma noise and
    timesteps [N] of 1000 sigma.
    """

    def __init__(self) -> None:
        self.means, self.weights, self.spread = torch.tensor([-1.0, 1.5]), torch.tensor([0.4, 0.6]), 0.25
        self.batches: list[int] = []

    def __call__(self, x: Tensor, timestep: Tensor, conditionings: tuple[float, ...]) -> Tensor:
        self.batches.append(len(x))
        shift = torch.tensor(conditionings).repeat_interleave(len(x) // len(conditionings)).reshape(-1, 1, 1, 1, 1)
        sigma = (timestep.double() / 1000).reshape(-1, 1, 1, 1, 1)
        signal, means = 1 - sigma, self.means + shift
        variance = signal**2 * self.spread**2 + sigma**2
        distance = x[..., None] - signal * means
        share_of_mode = torch.softmax(self.weights.log() - distance**2 / (2 * variance), -1)
        # E[noise - x0 | x] per mode: noise and data are both linear in the distance.
        per_mode = sigma * distance / variance - means - signal * self.spread**2 * distance / variance
        return (share_of_mode * per_mode).sum(-1).float()


class PerturbableDenoiser(ModelDenoiser[float]):
    """A toy model whose perturbed network confuses its conditionings: it takes each for half of itself."""

    perturbations: list[Perturbation]

    def denoise(self, x: Tensor, sigma: Tensor, conditionings: tuple[float, ...]) -> tuple[Tensor, ...]:
        worse = getattr(self, "worse", False)
        return super().denoise(x, sigma, tuple(value / 2 if worse else value for value in conditionings))

    @contextmanager
    def perturbed(self, perturbation: Perturbation) -> Generator[None]:
        object.__setattr__(self, "worse", True)
        object.__setattr__(self, "perturbations", [*getattr(self, "perturbations", []), perturbation])
        try:
            yield
        finally:
            object.__setattr__(self, "worse", False)
