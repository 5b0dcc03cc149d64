"""Bringing control pictures to the size of the picture that they were made of."""

from __future__ import annotations

import numpy as np
from PIL import Image as PilImage


def to_size(pictures: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """Pictures, uint8 [B, h, w, 3], resized to [B, height_px, width_px, 3]; those of that size stay as they are."""
    if pictures.shape[1:3] == (height_px, width_px):
        return pictures
    size, method = (width_px, height_px), PilImage.Resampling.BILINEAR
    return np.stack([np.asarray(PilImage.fromarray(picture).resize(size, method)) for picture in pictures])
