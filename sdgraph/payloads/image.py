"""Pictures. They are NumPy arrays, so that showing or saving a cached picture needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdgraph.core.porttype import PortType, Shown
from sdgraph.payloads.arrays import ArrayCodec, frozen_array, require_shape
from sdgraph.payloads.picture_files import write_pictures
from sdgraph.payloads.shown import first_pictures, size_text

MAX_EDGE_PX = 16384
"""What nodes enlarge a picture to at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """RGB pictures of one size.

    The array is taken over and made read-only. Raises MediaError [image-shape] for another shape or dtype.
    """

    pixels: NDArray[np.float32]
    """[B, 3, H, W] float32 in 0..1, sRGB."""

    def __post_init__(self) -> None:
        require_shape("image", self.pixels, channels=3)
        object.__setattr__(self, "pixels", frozen_array(self.pixels))

    @classmethod
    def from_uint8(cls, pixels: NDArray[np.uint8]) -> Image:
        """From [B, H, W, 3] or [H, W, 3] in 0..255, as files and OpenCV (after BGR to RGB) have it."""
        batch = pixels[None] if pixels.ndim == 3 else pixels
        return cls(np.ascontiguousarray(batch.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255))

    def to_uint8(self) -> NDArray[np.uint8]:
        """[B, H, W, 3] in 0..255, rounded to nearest; values outside 0..1 are clipped."""
        scaled = np.clip(self.pixels, 0, 1) * np.float32(255) + np.float32(0.5)
        return np.ascontiguousarray(scaled.astype(np.uint8).transpose(0, 2, 3, 1))

    @property
    def batch(self) -> int:
        """How many pictures."""
        return self.pixels.shape[0]

    @property
    def height_px(self) -> int:
        return self.pixels.shape[2]

    @property
    def width_px(self) -> int:
        return self.pixels.shape[3]


def _show(image: Image, count: int) -> Shown:
    return Shown(size_text(image.batch, image.width_px, image.height_px), first_pictures(image.pixels, count))


IMAGE = PortType(
    "Image",
    Image,
    "RGB pictures of one size, [B, 3, H, W] float32 in 0..1.",
    "#3fa7d6",
    ArrayCodec(Image, "pixels"),
    size_bytes=lambda image: image.pixels.nbytes,
    write=lambda image, stem, texts: write_pictures(image.to_uint8(), stem, texts),
    show=_show,
)
