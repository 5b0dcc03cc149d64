"""Small pictures for the tests of image nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdgraph.payloads.image import Image


def noise(width_px: int, height_px: int, batch: int = 1, seed: int = 0) -> Image:
    """Random pictures whose values survive 8 bits."""
    levels = np.random.default_rng(seed).integers(0, 256, size=(batch, height_px, width_px, 3), dtype=np.uint8)
    return Image.from_uint8(levels)


def flat(width_px: int, height_px: int, *levels: float) -> Image:
    """One flat grey picture per level 0..1."""
    pixels = np.empty((len(levels), 3, height_px, width_px), dtype=np.float32)
    pixels[:] = np.array(levels, dtype=np.float32)[:, None, None, None]
    return Image(pixels)


def rgba(width_px: int, height_px: int, colour: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """A uint8 picture [H, W, 4] of one colour."""
    picture: Any = np.full((height_px, width_px, 4), colour, dtype=np.uint8)
    return picture
