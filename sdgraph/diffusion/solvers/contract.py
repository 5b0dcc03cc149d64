"""What a solver is: one step of sampling as a function of explicit state; the loop is somebody else's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser
from sdgraph.diffusion.noise_path import NoisePath, log_snr_step, signal_level
from sdgraph.diffusion.schedule import TimestepGrid

Noise: TypeAlias = Callable[[], Tensor]
"""The next standard normal noise, shaped like x and on its device."""


@dataclass(frozen=True)
class Span:
    """The step that is to be taken."""

    sigma: float
    sigma_next: float
    timestep: float
    """The training timestep of `sigma`."""
    last: bool
    """Whether the whole trajectory ends with this step."""
    path: NoisePath = "exploding"
    """How x is made of signal and noise."""

    @property
    def alpha(self) -> float:
        """The signal level at `sigma`."""
        return signal_level(self.path, self.sigma)

    @property
    def alpha_next(self) -> float:
        """The signal level at `sigma_next`."""
        return signal_level(self.path, self.sigma_next)

    @property
    def kept(self) -> float:
        """The share of x that remains when x0 is as estimated throughout the step: sigma_next / sigma."""
        return self.sigma_next / self.sigma

    @property
    def gained(self) -> float:
        """The share of the estimate of x0 that takes its place."""
        return self.alpha_next - self.kept * self.alpha

    @property
    def width(self) -> float:
        """The length of the step in lambda = log(alpha / sigma); infinite from pure noise and to no noise."""
        return log_snr_step(self.path, self.sigma, self.sigma_next)

    def width_from(self, sigma: float) -> float:
        """The length in lambda from an earlier `sigma` to that of this step."""
        return log_snr_step(self.path, sigma, self.sigma)


@dataclass(frozen=True, eq=False)
class SolverState:
    """What a multistep solver remembers; oldest first. One-step solvers leave it empty."""

    outputs: tuple[Tensor, ...] = ()
    """Earlier model outputs [B, C, h, w], in the form the solver uses."""
    sigmas: tuple[float, ...] = ()
    """The sigma of each output."""
    sample: Tensor | None = None
    """[B, C, h, w]: the x that the last step started from, where a solver corrects it later."""
    order: int = 0
    """The order of the last step, where a solver needs it later."""

    def remember(self, output: Tensor, sigma: float, keep: int) -> SolverState:
        """With one more output, and only the newest `keep`."""
        return SolverState((*self.outputs, output)[-keep:], (*self.sigmas, sigma)[-keep:])


class Solver(ABC):
    """An algorithm for the step from one sigma to the next, in the convention x = alpha * x0 + sigma * noise."""

    order: ClassVar[int]
    """Order of convergence on smooth problems, as the tests measure it."""
    grid: ClassVar[TimestepGrid] = "continuous"
    """The timesteps that it is used with in diffusers."""

    @property
    def stochastic(self) -> bool:
        """Whether it draws noise."""
        return False

    def init(self) -> SolverState:
        """The state before the first step."""
        return SolverState()

    @abstractmethod
    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        """From x [B, C, h, w] at `span.sigma` to x at `span.sigma_next`, with the state for the step after."""
