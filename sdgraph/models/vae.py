"""Between pictures and latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdgraph.errors import MediaError, SamplingError
from sdgraph.models.memory.thrift import thrift
from sdgraph.models.present import require_part
from sdgraph.payloads.facts import Sized
from sdgraph.payloads.handles import VaeHandle
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents, LatentSpace, require_same_space

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

OVERLAP_SHARE = 0.25
"""How much of a tile's edge it shares with its neighbour, in tiled coding."""


def encode_image(model: Any, handle: VaeHandle, image: Image, tile_px: int = 0) -> Latents:
    """Latents [B, C, H/d, W/d] of pictures: the mean of what the autoencoder finds likely, so nothing is random.

    `tile_px` is the edge of a tile, 0 for one piece. Raises MediaError [image-size] unless both sides are multiples of
    the space's downscale, SamplingError [tile-size].
    """
    import torch

    step = handle.space.downscale
    require_encodable(image, step)
    pixels = torch.tensor(image.pixels) * 2 - 1
    samples = _tiled(lambda tile: _encode(model, handle, tile), pixels, tile_px, step, shrink=True)
    return Latents(samples, handle.space)


def decode_latents(model: Any, handle: VaeHandle, latents: Latents, tile_px: int = 0) -> Image:
    """Pictures [B, 3, h*d, w*d] of latents, clipped to 0..1.

    `tile_px` is the edge of a tile in picture pixels, 0 for one piece. Tiles overlap by a quarter and are blended; the
    result differs a little from that of one piece, because the autoencoder looks at a whole tile at once. Raises
    ModelError [latent-space-mismatch], SamplingError [tile-size].
    """
    require_same_space(latents.space, handle.space, f"The autoencoder `{handle.source}`")
    step = handle.space.downscale
    return _image(_tiled(lambda tile: _decode(model, handle, tile), latents.samples, tile_px, step, shrink=False))


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


def require_coding(handle: VaeHandle, tile_px: object, image: Sized | None = None) -> None:
    """What can be told before an autoencoder is loaded. Raises as `encode_image`; also what `require_part` does."""
    require_part(handle)
    require_tile(tile_px, handle.space.downscale)
    if image is not None:
        require_encodable(image, handle.space.downscale)


def _encode(model: Any, handle: VaeHandle, pixels: Tensor) -> Tensor:
    """[B, 3, H, W] in -1..1 -> [B, C, h, w]."""
    import torch

    with torch.no_grad():
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


def _decode(model: Any, handle: VaeHandle, samples: Tensor) -> Tensor:
    """[B, C, h, w] -> [B, 3, H, W] in -1..1. A tiny autoencoder takes latents as the denoiser sees them."""
    import torch

    space = handle.space
    raw = samples if handle.tiny else _as_made(samples, space)
    with torch.no_grad():
        return model.decode(raw.to(model.device, model.dtype)).sample.float().cpu()


def _tiled(code: Callable[[Tensor], Tensor], field: Tensor, tile_px: int, step: int, *, shrink: bool) -> Tensor:
    """`code` of a field [B, C, H, W]; it shrinks or grows each side by `step`.

    With tiles, picture by picture and tile by tile: only one tile of one picture goes through the model at a time. When
    memory is short on this thread, so it goes without having been asked for (`sdgraph.models.memory.thrift`).
    """
    import torch

    short = thrift()
    tile_px = min(filter(None, (tile_px, short.tile_px)), default=0)
    if tile_px == 0:
        return torch.cat([code(item) for item in field.split(1)]) if short.one_at_a_time else code(field)
    from sdgraph.diffusion.tiles import TileGrid, blend

    require_tile(tile_px, step)
    height, width = field.shape[2:]
    unit_in, unit_out = (step, 1) if shrink else (1, step)
    cells, overlap = tile_px // step, int(tile_px // step * OVERLAP_SHARE)

    def grid(unit: int) -> TileGrid:
        rows, columns = height // unit_in * unit, width // unit_in * unit
        return TileGrid(rows, columns, cells * unit, overlap * unit, align=unit)

    pictures = [
        blend(grid(unit_out), [code(tile) for tile in grid(unit_in).crop(picture)]) for picture in field.split(1)
    ]
    return torch.cat(pictures)


def _image(pixels: Tensor) -> Image:
    return Image((pixels / 2 + 0.5).clamp(0, 1).numpy())


def _up(size: int, step: int) -> int:
    return -(-size // step) * step
