"""Small versions of pictures, for showing: previews while a picture is made, thumbnails of finished ones."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from sdgraph.payloads.image import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image as PillowImage

PREVIEW_PX = 512
_QUALITY = 80


def packed_preview(value: Any, edge_px: int = PREVIEW_PX) -> tuple[bytes, str] | None:
    """The first picture of a batch as a JPEG of at most `edge_px` on each side, and its media type.

    None for what is no picture.
    """
    if not isinstance(value, Image) or value.batch == 0:
        return None
    from PIL import Image as Pillow

    return small_jpeg(Pillow.fromarray(value.to_uint8()[0]), edge_px), "image/jpeg"


def small_jpeg(picture: PillowImage, edge_px: int) -> bytes:
    """The picture as a JPEG, reduced to at most `edge_px` on each side; never enlarged."""
    rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
    if max(rgb.size) > edge_px:
        rgb = rgb.copy()
        rgb.thumbnail((edge_px, edge_px))
    target = BytesIO()
    rgb.save(target, "JPEG", quality=_QUALITY)
    return target.getvalue()


def small_webp(pixels: NDArray[np.uint8], edge_px: int) -> bytes:
    """A picture, [H, W, 3] or [H, W] uint8, as a WebP of at most `edge_px` on each side; never enlarged."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(pixels)
    picture.thumbnail((edge_px, edge_px))
    target = BytesIO()
    picture.save(target, "WEBP", quality=_QUALITY)
    return target.getvalue()
