"""Between pictures and latents."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sdgraph.errors import MediaError, SamplingError
from sdgraph.models.memory.thrift import thrift
from sdgraph.models.present import require_part
from sdgraph.models.tiled_coder import TiledCoder
from sdgraph.payloads.facts import Sized
from sdgraph.payloads.handles import VaeHandle
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents, LatentSpace, require_same_space

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

OVERLAP_SHARE = 0.25
"""How much of a tile's edge it shares with its neighbour, where tiles are blended."""


def encode_image(model: Any, handle: VaeHandle, image: Image, tile_px: int = 0) -> Latents:
    """Latents [B, C, H/d, W/d] of pictures: the mean of what the autoencoder finds likely, so nothing is random.

    `tile_px` is the edge of a tile, 0 for one piece. Raises MediaError [image-size] unless both sides are multiples of
    the space's downscale, SamplingError [tile-size].
    """
    import torch

    require_encodable(image, handle.space.downscale)
    pixels = torch.tensor(image.pixels) * 2 - 1
    samples = _coded(_encode, model, handle, pixels, tile_px)
    return Latents(samples, handle.space)


def decode_latents(model: Any, handle: VaeHandle, latents: Latents, tile_px: int = 0) -> Image:
    """Pictures [B, 3, h*d, w*d] of latents, clipped to 0..1.

    `tile_px` is the edge of a tile in picture pixels, 0 for one piece; the result is the same but for the order of sums
    (`TiledCoder`). Tiles of a tiny autoencoder overlap by a quarter and are blended, so there it differs a little.
    Raises ModelError [latent-space-mismatch], SamplingError [tile-size].
    """
    require_readable(handle, latents.space)
    return _image(_coded(_decode, model, handle, latents.samples, tile_px))


def decode_preview(model: Any, handle: VaeHandle, samples: Tensor) -> Image:
    """A quick picture of (half-finished) latents [B, C, h, w]; `handle` is the denoiser's `preview`."""
    return _image(_decode(model, handle, samples))


def require_encodable(image: Sized, step: int) -> None:
    """Raises MediaError [image-size] unless both sides of the pictures are multiples of `step` pixels."""
    if image.height_px % step or image.width_px % step:
        raise MediaError(
            "image-size",
            f"The picture is {image.width_px}x{image.height_px} pixels, expected multiples of {step}.",
            f"Resize it, for example to {_up(image.width_px, step)}x{_up(image.height_px, step)}.",
            port="image",
        )


def require_tile(tile_px: object, step: int) -> None:
    """Raises SamplingError [tile-size] for the edge of a tile that is none; a linked one is looked at while running."""
    if isinstance(tile_px, int) and tile_px and (tile_px % step or tile_px < 4 * step):
        raise SamplingError(
            "tile-size",
            f"A tile's edge is a multiple of {step} pixels and at least {4 * step}, found {tile_px}.",
            "Use 0 for one piece.",
            port="tile_px",
        )


def require_readable(handle: VaeHandle, found: LatentSpace) -> None:
    """Raises ModelError [latent-space-mismatch] for latents that an autoencoder does not know.

    A tiny one takes latents as the denoiser sees them, so that their scale is none of its business.
    """
    known = handle.space
    if handle.tiny and (found.name, found.channels, found.downscale) == (known.name, known.channels, known.downscale):
        return
    require_same_space(found, known, f"The autoencoder `{handle.source}`")


def require_coding(handle: VaeHandle, tile_px: object, image: Sized | None = None) -> None:
    """What can be told before an autoencoder is loaded. Raises as `encode_image`; also what `require_part` does."""
    require_part(handle)
    require_tile(tile_px, handle.space.downscale)
    if image is not None:
        require_encodable(image, handle.space.downscale)


def _encode(model: Any, handle: VaeHandle, pixels: Tensor, tiles: TiledCoder | None = None) -> Tensor:
    """[B, 3, H, W] in -1..1 -> [B, C, h, w]; in tiles B is 1."""
    import torch

    with torch.no_grad():
        if tiles is not None:
            latents = tiles.encode(pixels)
        else:
            found = model.encode(pixels.to(model.device, model.dtype))
            latents = (found.latents if handle.tiny else found.latent_dist.mode()).float().cpu()
    if handle.tiny:
        return latents
    return _normalized(latents, handle.space)


def _normalized(raw: Tensor, space: LatentSpace) -> Tensor:
    """What an autoencoder made, as latents [B, C, h, w] of its space."""
    if space.mean:
        return (raw - _by_channel(space.mean)) * space.scaling_factor / _by_channel(space.deviation)
    return (raw - space.shift_factor) * space.scaling_factor


def _as_made(samples: Tensor, space: LatentSpace) -> Tensor:
    """The inverse of `_normalized`."""
    if space.mean:
        by_deviation = samples * _by_channel(space.deviation).to(samples.device) / space.scaling_factor
        return by_deviation + _by_channel(space.mean).to(samples.device)
    return samples / space.scaling_factor + space.shift_factor


def _by_channel(values: tuple[float, ...]) -> Tensor:
    """[1, C, 1, 1] float32."""
    import torch

    return torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1)


def _decode(model: Any, handle: VaeHandle, samples: Tensor, tiles: TiledCoder | None = None) -> Tensor:
    """[B, C, h, w] -> [B, 3, H, W] in -1..1; in tiles B is 1. Tiny ones take latents as the denoiser sees them."""
    import torch

    space = handle.space
    raw = samples if handle.tiny else _as_made(samples, space)
    with torch.no_grad():
        if tiles is not None:
            return tiles.decode(raw)
        return model.decode(raw.to(model.device, model.dtype)).sample.float().cpu()


def _coded(code: Callable[..., Tensor], model: Any, handle: VaeHandle, field: Tensor, tile_px: int) -> Tensor:
    """`code`, which is `_encode` or `_decode`, of a field [B, C, H, W].

    With tiles, picture by picture and tile by tile: only one tile of one picture is on the device at a time. When
    memory is short on this thread, so it goes without having been asked for (`sdgraph.models.memory.thrift`).
    """
    import torch

    short, step = thrift(), handle.space.downscale
    tile_px = min(filter(None, (tile_px, short.tile_px)), default=0)
    require_tile(tile_px, step)
    longest_px = max(field.shape[2:]) * (1 if code is _encode else step)
    if tile_px == 0 or longest_px <= tile_px:
        pictures = field.split(1) if short.one_at_a_time or tile_px else (field,)
        return torch.cat([code(model, handle, picture) for picture in pictures])
    if type(model).__name__ == "AutoencoderKL":
        return torch.cat([code(model, handle, item, TiledCoder(model, tile_px // step)) for item in field.split(1)])
    cut = partial(_blended, partial(code, model, handle), cells=tile_px // step, step=step, shrink=code is _encode)
    return torch.cat([cut(picture) for picture in field.split(1)])


def _blended(code: Callable[[Tensor], Tensor], picture: Tensor, cells: int, step: int, *, shrink: bool) -> Tensor:
    """`code` of overlapping tiles of a field [1, C, H, W], blended; it shrinks or grows each side by `step`."""
    from sdgraph.diffusion.tiles import TileGrid, blend

    height, width = picture.shape[2:]
    unit_in, unit_out = (step, 1) if shrink else (1, step)
    overlap = int(cells * OVERLAP_SHARE)

    def grid(unit: int) -> TileGrid:
        rows, columns = height // unit_in * unit, width // unit_in * unit
        return TileGrid(rows, columns, cells * unit, overlap * unit, align=unit)

    return blend(grid(unit_out), [code(tile) for tile in grid(unit_in).crop(picture)])


def _image(pixels: Tensor) -> Image:
    return Image((pixels / 2 + 0.5).clamp(0, 1).numpy())


def _up(size: int, step: int) -> int:
    return -(-size // step) * step
