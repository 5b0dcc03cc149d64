"""Guiders: how the predictions under several conditionings become one.

A guider says how many network evaluations each answer took, so that a result can report its true cost. Plain guidance
is here; the others are in `sdgraph.diffusion.guiders`, one per file.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor

from sdgraph.diffusion.model import Model
from sdgraph.diffusion.perturbation import Perturbation

C = TypeVar("C")
T = TypeVar("T")
C_contra = TypeVar("C_contra", contravariant=True)


class PerturbableModel(Model[C_contra], Protocol[C_contra]):
    """A model whose network can be made worse on purpose."""

    def perturbed(self, perturbation: Perturbation) -> AbstractContextManager[None]:
        """Within the `with` block the network is perturbed. Raises ModelError [attention-layers]."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class StepContext:
    """What a guider is told about the step that it serves."""

    step: int = 0
    """0-based step of the stage."""
    steps: int = 1
    """Steps of the stage."""
    memory: Tensor | None = None
    """[B, C, h, w]: what the guider gave as `Guided.memory` at its evaluation before."""

    @property
    def progress(self) -> float:
        """0 at the stage's first step, 1 at its last."""
        return self.step / max(self.steps - 1, 1)


FIRST_STEP = StepContext()


@dataclass(frozen=True, slots=True, eq=False)
class Guided:
    """A guided answer and what it took."""

    denoised: Tensor
    """[B, C, h, w]."""
    nfe: int
    """Network evaluations per picture."""
    memory: Tensor | None = None
    """[B, C, h, w]: what the guider wants to be told at its next evaluation."""
    renoise: Tensor | None = None
    """[B, C, h, w]: denoised latents whose noise the solver is to put back; None: that of `denoised`."""


class Guider(Protocol):
    """Turns noisy latents into denoised ones at a guidance scale.

    A guider has no state of its own: what it must remember travels as `memory`, so that a stage may be stored, split
    and resumed, and so that tiles remember each for itself.
    """

    def guide(self, x: Tensor, sigma: Tensor, scale: float, at: StepContext = FIRST_STEP) -> Guided:
        """`x` is [B, C, h, w] with noise of standard deviation `sigma` [B]."""
        ...

    def evaluations(self, scale: float, at: StepContext = FIRST_STEP) -> int:
        """Network evaluations per picture that `guide` takes; counted without running anything."""
        ...


@dataclass(frozen=True, eq=False)
class ClassifierFreeGuidance(Generic[C]):
    """denoised = uncond + scale * (cond - uncond) (Ho & Salimans 2022, arXiv:2207.12598, equation 6).

    (uncond, cond) go through the network as one batch, in this order. A scale of 1 needs only cond and a scale of 0
    only uncond: one evaluation instead of two.
    """

    model: Model[C]
    cond: C
    uncond: C
    rescale: float = 0.0
    """0..1: how far the guided prediction is scaled back to the spread of the conditional one (`rescaled`)."""

    def guide(self, x: Tensor, sigma: Tensor, scale: float, at: StepContext = FIRST_STEP) -> Guided:
        """The guided denoised latents [B, C, h, w]."""
        if scale in (0.0, 1.0):
            only = self.cond if scale else self.uncond
            return Guided(self.model.denoise(x, sigma, (only,))[0], nfe=1)
        uncond, cond = self.model.denoise(x, sigma, (self.uncond, self.cond))
        denoised = uncond + scale * (cond - uncond)
        if self.rescale:
            guided = self.model.to_prediction(denoised, x, sigma)
            like = self.model.to_prediction(cond, x, sigma)
            denoised = self.model.from_prediction(rescaled(guided, like, self.rescale), x, sigma)
        return Guided(denoised, nfe=2)

    def select(self, items: Sequence[int]) -> ClassifierFreeGuidance[C]:
        """The guider for some items of its batch only."""
        return replace(self, model=selected(self.model, items))

    def evaluations(self, scale: float, at: StepContext = FIRST_STEP) -> int:
        """One at a scale of 0 or 1, otherwise two."""
        return 1 if scale in (0.0, 1.0) else 2


def selected(part: T, items: Sequence[int]) -> T:
    """A guider, model or network for some items of its batch only.

    What holds something of its own for each item has a method `select(items)`; anything else serves all alike.
    """
    select: Any = getattr(part, "select", None)
    return part if select is None else select(items)


def rescaled(guided: Tensor, like: Tensor, amount: float) -> Tensor:
    """`guided` with its standard deviation per picture moved by `amount` 0..1 towards that of `like`.

    Counters the over-exposure of large scales (Lin et al. 2023, arXiv:2305.08891, section 3.4). Both are predictions
    [B, C, h, w] as the network makes them, not denoised latents.
    """
    axes = tuple(range(1, guided.dim()))
    ratio = like.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True)
    return amount * (guided * ratio) + (1 - amount) * guided
