"""The tiles in which a model looks at latents that are larger than what it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sdgraph.diffusion.tile_weights import TileWeights
from sdgraph.models.drawable import latent_step, require_tiles
from sdgraph.payloads.handles import DenoiserHandle

if TYPE_CHECKING:
    from sdgraph.diffusion.tiles import TileGrid


def tile_grid(
    denoiser: DenoiserHandle, size: Sequence[int], tile_px: int, overlap_px: int, weights: TileWeights = "feather"
) -> TileGrid | None:
    """The tiles of latents of `size` (height, width in latent pixels); None when one tile is enough, or `tile_px` is 0.

    Raises SamplingError [tile-size], [tile-overlap].
    """
    from sdgraph.diffusion.tiles import TileGrid

    if tile_px == 0:
        return None
    require_tiles(denoiser, tile_px, overlap_px)
    step = denoiser.space.downscale
    height, width = size
    if max(height, width) * step <= tile_px:
        return None
    return TileGrid(height, width, tile_px // step, overlap_px // step, latent_step(denoiser), weights)
