"""The pictures of a batch that still run, when others were finished early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sdgraph.diffusion.guidance import Guider, selected
from sdgraph.diffusion.settling import Settling
from sdgraph.diffusion.solvers.contract import SolverState


@dataclass(frozen=True, slots=True, eq=False)
class Active:
    """What the next step needs, for the pictures that take it."""

    items: tuple[int, ...]
    """Their places in the whole batch."""
    x: Tensor
    """[B, C, h, w]."""
    history: SolverState
    memory: Tensor | None
    """What the guider remembers."""
    guider: Guider
    settling: Settling | None = None

    @classmethod
    def of(
        cls,
        x: Tensor,
        guider: Guider,
        items: tuple[int, ...],
        history: SolverState,
        memory: Tensor | None,
        settling: Settling | None,
    ) -> Active:
        """The pictures `items` of x [B, C, h, w]; `history`, `memory` and `settling` are of these alone already."""
        if len(items) < len(x):
            x, guider = x[list(items)], selected(guider, items)
        return cls(items, x, history, memory, guider, settling)

    def take(self, positions: Sequence[int]) -> Active:
        """The pictures at `positions` among these; all of them is this very object."""
        kept = list(positions)
        if len(kept) == len(self.items):
            return self
        return Active(
            tuple(self.items[position] for position in kept),
            self.x[kept],
            take_history(self.history, kept),
            None if self.memory is None else self.memory[kept],
            selected(self.guider, kept),
            None if self.settling is None else self.settling.take(kept),
        )


def take_history(history: SolverState, items: list[int]) -> SolverState:
    """The history of some items; an empty one stays empty."""
    return history.map(lambda tensor: tensor[items])


def scatter(whole: Tensor, items: Sequence[int], part: Tensor) -> Tensor:
    """`whole` [B, ...] with `part` [k, ...] in the places of `items`; `part` itself when those are all."""
    if len(items) == len(whole):
        return part
    return whole.index_copy(0, torch.tensor(list(items), device=whole.device), part)
