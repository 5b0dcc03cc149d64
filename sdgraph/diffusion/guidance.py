"""Guiders: how the predictions under several conditionings become one.

A guider says how many network evaluations each answer took, so that a result can report its true cost. More guiders
(APG, PAG, ...) are more classes of the same protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from torch import Tensor

from sdgraph.diffusion.denoiser import ModelDenoiser

C = TypeVar("C")


@dataclass(frozen=True, eq=False)
class Guided:
    """A guided answer and what it took."""

    denoised: Tensor
    """[B, C, h, w]."""
    nfe: int
    """Network evaluations per picture."""


class Guider(Protocol):
    """Turns noisy latents into denoised ones at a guidance scale."""

    def guide(self, x: Tensor, sigma: Tensor, scale: float) -> Guided:
        """`x` is [B, C, h, w] with noise of standard deviation `sigma` [B]."""
        ...


@dataclass(frozen=True, eq=False)
class ClassifierFreeGuidance(Generic[C]):
    """denoised = uncond + scale * (cond - uncond) (Ho & Salimans 2022, arXiv:2207.12598, equation 6).

    (uncond, cond) go through the network as one batch, in this order. A scale of 1 needs only cond and a scale of 0
    only uncond: one evaluation instead of two.
    """

    model: ModelDenoiser[C]
    cond: C
    uncond: C
    rescale: float = 0.0
    """0..1: how far the guided prediction is scaled back to the spread of the conditional one (`rescaled`)."""

    def guide(self, x: Tensor, sigma: Tensor, scale: float) -> Guided:
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


def rescaled(guided: Tensor, like: Tensor, amount: float) -> Tensor:
    """`guided` with its standard deviation per picture moved by `amount` 0..1 towards that of `like`.

    Counters the over-exposure of large scales (Lin et al. 2023, arXiv:2305.08891, section 3.4). Both are predictions
    [B, C, h, w] as the network makes them, not denoised latents.
    """
    axes = tuple(range(1, guided.dim()))
    ratio = like.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True)
    return amount * (guided * ratio) + (1 - amount) * guided
