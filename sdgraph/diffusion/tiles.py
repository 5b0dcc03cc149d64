"""Tiles of equal size over a field, and their seamless blend.

Works on latents and on pictures alike: sizes are in the field's own units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sdgraph.diffusion.tile_weights import TileWeights
from sdgraph.errors import SamplingError

_GAUSSIAN_VARIANCE = 0.01
"""Of the weights of Mixture of Diffusers, in squared tile edges, as in its author's code."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of a field."""

    top: int
    left: int
    height: int
    width: int

    def crop(self, field: Tensor) -> Tensor:
        """This rectangle of a field [..., H, W]."""
        return field[..., self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True)
class TileGrid:
    """Tiles that cover a field, all of one size, neighbours sharing at least `overlap`.

    A field that is smaller than a tile has one tile of the field's size. Tiles start at multiples of `align`.
    Raises SamplingError `tile-grid` when the numbers don't fit together.
    """

    height: int
    width: int
    tile: int
    """Edge of a tile."""
    overlap: int
    align: int = 1
    blending: TileWeights = "feather"

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.tile, self.align) < 1:
            raise _bad_grid("Field, tile and alignment must be at least 1")
        if not 0 <= self.overlap < self.tile:
            raise _bad_grid(f"The overlap must be at least 0 and smaller than the tile of {self.tile}")
        if any(size % self.align for size in (self.height, self.width, self.tile, self.overlap)):
            raise _bad_grid(f"Field, tile and overlap must be multiples of {self.align}")

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """The tiles, row by row from the top left."""
        height, width = min(self.tile, self.height), min(self.tile, self.width)
        return tuple(
            Tile(top, left, height, width) for top in self._starts(self.height) for left in self._starts(self.width)
        )

    def crop(self, field: Tensor) -> list[Tensor]:
        """The tiles of a field [..., height, width], in the order of `tiles`."""
        return [tile.crop(field) for tile in self.tiles]

    def weights(self) -> list[Tensor]:
        """The share of each tile in the blend: float64 [tile height, tile width]; they sum to 1 at every point."""
        raw = [
            self._profile(tile.top, tile.height, self.height)[:, None]
            * self._profile(tile.left, tile.width, self.width)
            for tile in self.tiles
        ]
        total = torch.zeros(self.height, self.width, dtype=torch.float64)
        for tile, weight in zip(self.tiles, raw, strict=True):
            tile.crop(total).add_(weight)
        return [weight / tile.crop(total) for tile, weight in zip(self.tiles, raw, strict=True)]

    def _starts(self, size: int) -> list[int]:
        """Evenly spread starts of tiles along one side."""
        if size <= self.tile:
            return [0]
        gaps = math.ceil((size - self.tile) / (self.tile - self.overlap))
        room = (size - self.tile) // self.align
        return [index * room // gaps * self.align for index in range(gaps + 1)]

    def _profile(self, start: int, length: int, size: int) -> Tensor:
        """[length]: the weight along one side, before all tiles are made to sum to 1."""
        match self.blending:
            case "feather":
                return self._feather(start, length, size)
            case "uniform":
                return torch.ones(length, dtype=torch.float64)
            case "gaussian":
                place = (torch.arange(length, dtype=torch.float64) - (length - 1) / 2) / length
                return torch.exp(-(place**2) / (2 * _GAUSSIAN_VARIANCE))

    def _feather(self, start: int, length: int, size: int) -> Tensor:
        """[length]: rises over the overlap at a side where a neighbour is, full elsewhere."""
        ramp = torch.ones(length, dtype=torch.float64)
        rise = torch.arange(1, self.overlap + 1, dtype=torch.float64) / (self.overlap + 1)
        if start > 0:
            ramp[: self.overlap] = rise
        if start + length < size and self.overlap:
            ramp[-self.overlap :] = torch.minimum(ramp[-self.overlap :], rise.flip(0))
        return ramp


def blend(grid: TileGrid, tiles: Sequence[Tensor]) -> Tensor:
    """One field [..., height, width] from its tiles [..., tile height, tile width] in the order of `grid.tiles`.

    Sums in float64, so a constant comes out exactly as it went in, and a single tile unchanged.
    """
    if len(tiles) != len(grid.tiles):
        raise _bad_grid(f"The grid has {len(grid.tiles)} tiles, found {len(tiles)}")
    first = tiles[0]
    field = torch.zeros(*first.shape[:-2], grid.height, grid.width, dtype=torch.float64, device=first.device)
    for place, weight, tile in zip(grid.tiles, grid.weights(), tiles, strict=True):
        place.crop(field).add_(weight.to(tile.device) * tile)
    return field.to(first.dtype)


def _bad_grid(message: str) -> SamplingError:
    return SamplingError("tile-grid", f"{message}.", hint="Change the tile size, the overlap or the size of the field.")
