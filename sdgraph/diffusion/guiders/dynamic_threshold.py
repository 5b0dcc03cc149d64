"""Dynamic thresholding with a mimic scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from sdgraph.diffusion.guidance import Guided
from sdgraph.diffusion.guiders.pair import Pair, PairGuider

C = TypeVar("C")


@dataclass(frozen=True, eq=False)
class DynamicThreshold(PairGuider[C]):
    """A large scale whose result keeps the range of values of a smaller one.

    Thresholding by a percentile of the denoised values is of Saharia et al. 2022, arXiv:2205.11487, section 2.3.
    Latents have no fixed range as pixels do, so the range is taken from the result of `mimic_scale`, channel by
    channel around the channel's mean, as practice with latent diffusion has it.
    """

    mimic_scale: float = 7.0
    percentile: float = 1.0

    def combine(self, pair: Pair) -> Guided:
        """The guided latents, brought to the range of the mimic ones where they exceed it."""
        direction = pair.cond - pair.uncond
        guided, mimic = (pair.uncond + scale * direction for scale in (pair.scale, self.mimic_scale))
        return Guided(thresholded(guided, mimic, self.percentile), nfe=2)


def thresholded(guided: Tensor, mimic: Tensor, percentile: float) -> Tensor:
    """`guided` with each channel's spread around its mean brought down to that of `mimic`; both [B, C, h, w].

    Values beyond the `percentile` of the channel are cut off first. A channel within the range of `mimic` stays.
    """
    flat, like = guided.flatten(2).float(), mimic.flatten(2).float()
    mean = flat.mean(-1, keepdim=True)
    centred = flat - mean
    widest = (like - like.mean(-1, keepdim=True)).abs().amax(-1, keepdim=True)
    limit = centred.abs().quantile(percentile, dim=-1, keepdim=True).maximum(widest)
    brought_down = centred.clamp(-limit, limit) * (widest / limit.clamp(min=1e-12)) + mean
    within = centred.abs().amax(-1, keepdim=True) <= widest
    return flat.where(within, brought_down).reshape(guided.shape).to(guided.dtype)
