"""The tiles in which a model looks at latents that are larger than what it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sdgraph.diffusion.tile_weights import TileWeights
from sdgraph.errors import SamplingError
from sdgraph.payloads.handles import DenoiserHandle

if TYPE_CHECKING:
    from sdgraph.diffusion.tiles import TileGrid

_PATCHED = ("sd3", "flux")
"""Families whose networks cut latents into patches of 2 x 2."""


def tile_grid(
    denoiser: DenoiserHandle, size: Sequence[int], tile_px: int, overlap_px: int, weights: TileWeights = "feather"
) -> TileGrid | None:
    """The tiles of latents of `size` (height, width in latent pixels); None when one tile is enough, or `tile_px` is 0.

    Raises SamplingError [tile-size], [tile-overlap].
    """
    from sdgraph.diffusion.tiles import TileGrid

    if tile_px == 0:
        return None
    step = denoiser.space.downscale
    align = 2 if denoiser.family in _PATCHED else 1
    if tile_px % (step * align) or tile_px < 4 * step:
        raise SamplingError(
            "tile-size",
            f"A tile's edge is a multiple of {step * align} pixels and at least {4 * step}, found {tile_px}.",
            "Use 0 to look at the whole picture at once.",
            port="tile_px",
        )
    unit = step * align
    if overlap_px >= tile_px or overlap_px % unit:
        raise SamplingError(
            "tile-overlap",
            f"Tiles of {tile_px} pixels can't share {overlap_px}.",
            f"Use a multiple of {unit} below {tile_px}, for example {tile_px // 2 // unit * unit}.",
            port="overlap_px",
        )
    height, width = size
    if max(height, width) * step <= tile_px:
        return None
    return TileGrid(height, width, tile_px // step, overlap_px // step, align, weights)
