"""What a solver is: one step of sampling as a function of explicit state; the loop is somebody else's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser
from sdgraph.diffusion.noise_path import log_snr_step
from sdgraph.diffusion.schedule import NoiseSchedule, TimestepGrid

Noise: TypeAlias = Callable[[], Tensor]
"""The next standard normal noise, shaped like x and on its device."""

Ending = Literal["zero", "sigma_min", "alpha_to_one"]
"""Where a solver's trajectory ends by default. `zero`: without noise, unless the model's configuration says otherwise.
`sigma_min`: at the model's smallest sigma. `alpha_to_one`: as the configuration's `set_alpha_to_one` says."""


@dataclass(frozen=True)
class Span:
    """The step that is to be taken."""

    sigma: float
    sigma_next: float
    schedule: NoiseSchedule
    index: int = 0
    """0-based place of the step in its schedule of sigmas."""
    steps: int = 1
    """Steps of that schedule."""
    ends: bool = True
    """Whether the trajectory ends where that schedule ends."""

    @property
    def remaining(self) -> int | None:
        """Steps to the end of the trajectory, this one included; None when the end is not in this schedule."""
        return self.steps - self.index if self.ends else None

    @property
    def last(self) -> bool:
        """Whether the whole trajectory ends with this step."""
        return self.remaining == 1

    @property
    def timestep(self) -> float:
        """The training timestep of `sigma`."""
        return self.timestep_of(self.sigma)

    def timestep_of(self, sigma: float) -> float:
        """The training timestep of any sigma."""
        return float(self.schedule.timestep_of(torch.tensor([sigma]))[0])

    @property
    def alpha(self) -> float:
        """The signal level at `sigma`."""
        return self.schedule.alpha(self.sigma)

    @property
    def alpha_next(self) -> float:
        """The signal level at `sigma_next`."""
        return self.schedule.alpha(self.sigma_next)

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
        """The length of the step in lambda = log(alpha / sigma); infinite when it ends without noise."""
        return log_snr_step(self.schedule.path, self.sigma, self.sigma_next)

    def width_from(self, sigma: float) -> float:
        """The length in lambda from an earlier `sigma` to that of this step."""
        return log_snr_step(self.schedule.path, sigma, self.sigma)

    def to(self, sigma_next: float) -> Span:
        """The step from the same sigma to another one."""
        return replace(self, sigma_next=sigma_next)

    def since(self, sigma: float) -> Span:
        """The step from an earlier sigma to where this one starts."""
        return replace(self, sigma=sigma, sigma_next=self.sigma)


@dataclass(frozen=True, eq=False)
class SolverState:
    """What a multistep solver remembers; oldest first. One-step solvers leave it empty."""

    outputs: tuple[Tensor, ...] = ()
    """Earlier model outputs [B, C, h, w], in the form the solver uses."""
    sigmas: tuple[float, ...] = ()
    """The sigma of each output."""
    sample: Tensor | None = None
    """[B, C, h, w]: the x that an earlier step started from, where a solver goes back to it."""
    order: int = 0
    """The order of the last step, where a solver needs it later."""
    noise: Tensor | None = None
    """[B, C, h, w]: the noise of the last step, where a solver corrects that step later."""

    def remember(self, output: Tensor, sigma: float, keep: int) -> SolverState:
        """With one more output, and only the newest `keep`; without sample, order and noise."""
        return SolverState((*self.outputs, output)[-keep:], (*self.sigmas, sigma)[-keep:])

    def map(self, change: Callable[[Tensor], Tensor]) -> SolverState:
        """With every tensor changed in the same way."""
        return replace(
            self,
            outputs=tuple(change(output) for output in self.outputs),
            sample=None if self.sample is None else change(self.sample),
            noise=None if self.noise is None else change(self.noise),
        )


class Solver(ABC):
    """An algorithm for the step from one sigma to the next, in the convention x = alpha * x0 + sigma * noise."""

    grid: ClassVar[TimestepGrid] = "continuous"
    """The timesteps that it is used with in diffusers."""
    ending: ClassVar[Ending] = "zero"
    """Where it ends by default, as in diffusers."""

    @property
    @abstractmethod
    def order(self) -> int:
        """Order of convergence on smooth problems, as the tests measure it."""

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


def lowered_order(order: int, span: Span, known: int) -> int:
    """The order of a DPM-Solver++ or DEIS multistep step with `known` outputs, the newest included.

    It rises with the history. In fewer than 15 steps the last step is of first order and the one before of at most
    second (Lu et al. 2022, arXiv:2211.01095, appendix D), and a step to sigma 0 always is of first order.
    """
    order = min(order, known)
    if span.sigma_next == 0:
        return 1
    if span.remaining is not None and span.steps < 15:
        order = min(order, span.remaining)
    return order
