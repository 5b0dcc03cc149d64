"""Noise per picture: a picture depends on its seed, never on its batch, its device or the order of the queue.

Draw 0 of a seed is the initial noise, draw k the k-th noise that a stochastic solver asks for: the order in which a
diffusers pipeline with one generator per sample draws.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sdgraph.errors import SamplingError

MAX_SEED = 2**63 - 1


class NoiseStream:
    """Standard normal noise for a batch, one CPU generator per item; it can start after any number of draws.

    `seeds` are 0..2**63-1, one per item; of a seed torch's CPU generator uses the low 32 bits. `shape` is that of one
    item, usually [C, h, w]. Raises SamplingError `seed-out-of-range`.
    """

    def __init__(self, seeds: Sequence[int], shape: Sequence[int], draws: int = 0) -> None:
        for seed in seeds:
            if not 0 <= seed <= MAX_SEED:
                raise SamplingError(
                    "seed-out-of-range", f"A seed must be between 0 and {MAX_SEED}, found {seed}.", hint="Use another."
                )
        self._generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        self._shape = tuple(shape)
        self.draws = 0
        while self.draws < draws:
            self.draw()

    def draw(self) -> Tensor:
        """The next noise: float32 [B, *shape] on the CPU."""
        self.draws += 1
        items = [torch.randn(self._shape, generator=generator, dtype=torch.float32) for generator in self._generators]
        return torch.stack(items)


def slerp(start: Tensor, end: Tensor, amount: float) -> Tensor:
    """Noise between two noises [B, ...] along the arc, item by item, so that its norm stays that of noise.

    `amount` 0 is `start` and 1 is `end`, both exactly (Shoemake 1985; White 2016, arXiv:1609.04468, section 2.1).
    """
    if amount in (0.0, 1.0):
        return end if amount else start
    axes = tuple(range(1, start.dim()))
    norms = start.square().sum(axes, keepdim=True).sqrt() * end.square().sum(axes, keepdim=True).sqrt()
    angle = ((start * end).sum(axes, keepdim=True) / norms).clamp(-1, 1).acos()
    straight = angle.sin() < 1e-6  # parallel noises: the arc is a line and sin(angle) is no divisor
    divisor = torch.where(straight, torch.ones_like(angle), angle.sin())
    from_start = torch.where(straight, torch.full_like(angle, 1 - amount), ((1 - amount) * angle).sin() / divisor)
    from_end = torch.where(straight, torch.full_like(angle, amount), (amount * angle).sin() / divisor)
    return from_start * start + from_end * end
