"""Which pictures of a batch, and which part of them, a network is looking at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from sdgraph.diffusion.tiles import Tile


@dataclass(frozen=True, slots=True)
class Window:
    """A tile of latents."""

    tile: Tile
    height: int
    """Height of the whole latents."""
    width: int
    """Width of the whole latents."""


@dataclass(frozen=True, slots=True)
class View:
    """What fields that belong to whole pictures, such as control pictures, are reduced to for one call."""

    items: tuple[int, ...] | None = None
    """Places in the batch; None: all."""
    window: Window | None = None
    """The tile; None: the whole."""

    def select(self, items: Sequence[int]) -> View:
        """The view of some of the items seen here."""
        return replace(self, items=tuple(self.items[item] for item in items) if self.items else tuple(items))

    def whole(self, x: Tensor) -> tuple[int, int]:
        """Height and width of the latents of which `x` [B, C, h, w] is seen."""
        return (self.window.height, self.window.width) if self.window else (x.shape[-2], x.shape[-1])

    def of(self, field: Tensor, scale: int = 1) -> Tensor:
        """What is seen of a field [1 or B, ..., H, W] that has `scale` pixels per latent pixel."""
        if self.items is not None and len(field) > 1:
            field = field[list(self.items)]
        if self.window is None:
            return field
        tile = self.window.tile
        rows = slice(tile.top * scale, (tile.top + tile.height) * scale)
        return field[..., rows, tile.left * scale : (tile.left + tile.width) * scale]


EVERYTHING = View()
