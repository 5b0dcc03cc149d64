"""What sizes of pictures a denoiser draws, and in which tiles: known without weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdgraph.errors import SamplingError
from sdgraph.payloads.facts import Sized
from sdgraph.payloads.handles import DenoiserHandle

_PATCHED = ("sd3", "flux")
"""Families whose networks cut latents into patches of 2 x 2."""
_PATCH = 2


def latent_step(denoiser: DenoiserHandle) -> int:
    """Latent pixels that a side of the latents is a multiple of."""
    return _PATCH if denoiser.family in _PATCHED else 1


def require_drawable(picture: Sized, denoiser: DenoiserHandle, config: Mapping[str, Any] | None = None) -> None:
    """Raises SamplingError [latents-size] for a size that the model does not draw.

    `config` is the network's configuration; Stable Diffusion 3's says how many positions it knows.
    """
    width, height, step = picture.width_px, picture.height_px, denoiser.space.downscale * latent_step(denoiser)
    if width % step or height % step:
        raise SamplingError(
            "latents-size",
            f"This model draws pictures in steps of {step} px, found {width} x {height} px.",
            f"Make width and height multiples of {step}.",
            port="latents",
        )
    positions = (config or {}).get("pos_embed_max_size")
    most = positions * step if isinstance(positions, int) else None
    if most is not None and max(width, height) > most:
        raise SamplingError(
            "latents-size",
            f"This model draws pictures of at most {most} px a side, found {width} x {height} px.",
            "Draw a smaller picture and enlarge it.",
            port="latents",
        )


def require_tiles(denoiser: DenoiserHandle, tile_px: int, overlap_px: int) -> None:
    """Raises SamplingError [tile-size], [tile-overlap] for tiles in which the model can't look at a picture."""
    step = denoiser.space.downscale
    unit = step * latent_step(denoiser)
    if tile_px and (tile_px % unit or tile_px < 4 * step):
        raise SamplingError(
            "tile-size",
            f"A tile's edge is a multiple of {unit} pixels and at least {4 * step}, found {tile_px}.",
            "Use 0 to look at the whole picture at once.",
            port="tile_px",
        )
    if tile_px and (overlap_px >= tile_px or overlap_px % unit):
        raise SamplingError(
            "tile-overlap",
            f"Tiles of {tile_px} pixels can't share {overlap_px}.",
            f"Use a multiple of {unit} below {tile_px}, for example {tile_px // 2 // unit * unit}.",
            port="overlap_px",
        )
