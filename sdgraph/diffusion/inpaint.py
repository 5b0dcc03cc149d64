"""Inpainting: the part of a picture that sampling must leave as it is, put back after every step.

Models that were not trained for it inpaint by replacement: after each step the known part is overwritten by the
picture's latents under the noise of that step (Lugmayr et al. 2022, RePaint, arXiv:2201.09865, equation 8, without its
resampling), always the same noise, as diffusers' inpainting pipeline does with a plain UNet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sdgraph.diffusion.schedule import NoiseSchedule


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What of a picture is kept while the rest is drawn."""

    latents: Tensor
    """[B, C, h, w] float32: the clean latents of the picture."""
    noise: Tensor
    """[B, C, h, w]: the noise that sampling began with."""
    mask: Tensor
    """[1 or B, 1, h, w] in 0..1: 1 is drawn, 0 is kept."""
    timestep_start: float
    """The training timestep at which sampling began."""
    differential: bool = False
    """How values between 0 and 1 count. False: they mix what is drawn with what is kept. True: the value is the
    strength of its point, which is kept until the last `value` of sampling (Levin & Fried 2023, Differential Diffusion,
    arXiv:2306.00950, algorithm 1)."""
    visible: Tensor | None = None
    """[1 or B, C, h, w]: the picture with the masked part grey, as networks trained for inpainting see it."""

    def over(self, x: Tensor, sigma: float, schedule: NoiseSchedule, items: Sequence[int] | None = None) -> Tensor:
        """`x` [k, C, h, w] at noise level `sigma` with the kept part put back; `items` are the k of the B pictures.

        Where the mask is 1, x comes back bit for bit; where it is 0 and sigma is 0, the picture's latents do.
        """
        latents, noise, mask = self.latents, self.noise, self.mask
        if items is not None and len(items) < len(latents):
            chosen = list(items)
            latents, noise = latents[chosen], noise[chosen]
            mask = mask[chosen] if len(mask) > 1 else mask
        drawn = self._drawn(mask, sigma, schedule)
        known = schedule.alpha(sigma) * latents + sigma * noise
        return drawn * x + (1 - drawn) * known

    def channels(self) -> Tensor | None:
        """[1 or B, 1 + C, h, w]: the further channels of a network that was trained for inpainting; None without
        `visible`.

        The mask among them is 0 or 1, as in training, and as diffusers' pipelines prepare it.
        """
        if self.visible is None:
            return None
        mask = (self.mask > 0 if self.differential else self.mask >= 0.5).to(self.mask.dtype)
        batch = max(len(mask), len(self.visible))
        parts = (part.expand(batch, -1, -1, -1) for part in (mask, self.visible))
        return torch.cat(tuple(parts), dim=1)

    def tensors(self) -> dict[str, Tensor]:
        """Its tensors by name."""
        parts = {"latents": self.latents, "noise": self.noise, "mask": self.mask}
        return parts if self.visible is None else parts | {"visible": self.visible}

    def _drawn(self, mask: Tensor, sigma: float, schedule: NoiseSchedule) -> Tensor:
        """How much of each point is drawn once sampling has come to `sigma`."""
        if not self.differential:
            return mask
        if sigma == 0:
            return (mask > 0).to(mask.dtype)
        timestep = float(schedule.timestep_of(torch.tensor([sigma]))[0])
        progress = schedule.share_done(self.timestep_start, timestep)
        return (1 - mask <= progress).to(mask.dtype)
