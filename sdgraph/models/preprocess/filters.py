"""Filters on pictures, in NumPy. Pictures are extended by repeating their edge pixels."""

from __future__ import annotations

import numpy as np


def gaussian_blur(picture: np.ndarray, sigma_px: float) -> np.ndarray:
    """A picture [..., H, W] as float32, blurred by a Gaussian of this deviation, cut off at three deviations."""
    if sigma_px <= 0:
        return picture.astype(np.float32)
    reach = max(int(3 * sigma_px + 0.5), 1)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    return _convolved(_convolved(picture, weights / weights.sum(), -1), weights / weights.sum(), -2).astype(np.float32)


def shifted(picture: np.ndarray, rows: int, columns: int, mode: str = "edge") -> np.ndarray:
    """The pixels of [..., H, W] that are `rows` below and `columns` right of each; beyond the edge as np.pad has it."""
    pad = max(abs(rows), abs(columns))
    padded = np.pad(picture, [(0, 0)] * (picture.ndim - 2) + [(pad, pad)] * 2, mode=mode)  # type: ignore[arg-type]
    height, width = picture.shape[-2:]
    return padded[..., pad + rows : pad + rows + height, pad + columns : pad + columns + width]


def _convolved(picture: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    reach = len(weights) // 2
    pads = [(0, 0)] * picture.ndim
    pads[axis] = (reach, reach)
    padded = np.pad(picture.astype(np.float64), pads, mode="edge")
    length = picture.shape[axis]
    parts = (weight * np.take(padded, range(i, i + length), axis=axis) for i, weight in enumerate(weights))
    return sum(parts, np.zeros(picture.shape))
