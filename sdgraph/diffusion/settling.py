"""Watching pictures settle: the running part of early stop (`sdgraph.diffusion.early_stop`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sdgraph.diffusion.early_stop import EarlyStop


@dataclass(frozen=True, slots=True)
class Stop:
    """A picture that was finished early."""

    item: int
    """Its place in the batch."""
    step: int
    """Steps it took, over all stages."""
    nfe: int
    """Network evaluations it took."""
    saved: int
    """Network evaluations that the steps left out would have taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Settling:
    """What the watch remembers of the pictures that still run."""

    last: Tensor
    """[B, C, h, w]: the denoised latents of the step before."""
    quiet: tuple[int, ...]
    """Quiet steps in a row, per picture."""
    changes: tuple[float, ...] = ()
    """The relative change of each picture in the last step; empty before there is one."""

    def take(self, positions: list[int]) -> Settling:
        """For the pictures at `positions` only."""
        quiet = tuple(self.quiet[position] for position in positions)
        changes = tuple(self.changes[position] for position in positions) if self.changes else ()
        return Settling(self.last[positions], quiet, changes)


def watch(settling: Settling | None, denoised: Tensor, threshold: float, *, edges: bool = False) -> Settling:
    """After one more step, which ended with `denoised` [B, C, h, w]; with `edges` only those count.

    A step is quiet when x0 changed by less than `threshold`, and by no more than in the step before. Without the second
    condition pictures would stop at once: in strong noise x0 hardly changes either, but by more with every step.
    """
    if settling is None:
        return Settling(denoised, (0,) * len(denoised))
    now_seen, then_seen = (edges_of(part) if edges else part for part in (denoised, settling.last))
    changes = tuple(relative_change(now_seen, then_seen).tolist())
    before = settling.changes or (0.0,) * len(changes)
    quiet = tuple(
        count + 1 if now < threshold and now <= then else 0
        for count, now, then in zip(settling.quiet, changes, before, strict=True)
    )
    return Settling(denoised, quiet, changes)


def settled(settling: Settling, rule: EarlyStop, steps_done: int) -> list[int]:
    """The positions of the pictures that are finished after `steps_done` steps of the stage."""
    if steps_done < rule.min_steps:
        return []
    return [position for position, count in enumerate(settling.quiet) if count >= rule.patience]


def edges_of(latents: Tensor) -> Tensor:
    """How steep latents [B, C, h, w] are at each place, of the same shape: the length of Sobel's two derivatives.

    Beyond the border latents go on as they are there, so what is flat has no edges.
    """
    smooth, slope = latents.new_tensor([1.0, 2.0, 1.0]) / 4, latents.new_tensor([-1.0, 0.0, 1.0]) / 2
    channels = latents.shape[1]
    padded = functional.pad(latents, (1, 1, 1, 1), mode="replicate")
    across, down = (
        functional.conv2d(padded, kernel.expand(channels, 1, 3, 3), groups=channels)
        for kernel in (torch.outer(smooth, slope), torch.outer(slope, smooth))
    )
    return torch.hypot(across, down)


def relative_change(denoised: Tensor, before: Tensor) -> Tensor:
    """[B]: RMS of each picture's change over the RMS of the picture; both [B, C, h, w]."""
    return (denoised - before).flatten(1).norm(dim=1) / denoised.flatten(1).norm(dim=1).clamp(min=1e-12)
