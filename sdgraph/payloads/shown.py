"""What payloads look like in an editor: their sizes in words, and pictures that are quick to make."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_EDGE_PX = 1024
"""Larger pictures are thinned out to less than twice this before they are converted: they will be thumbnails."""


def size_text(count: int, width_px: int, height_px: int) -> str:
    """How many pictures there are, and how large."""
    return f"{many(count, 'picture')}, {width_px} x {height_px} px"


def many(count: int, what: str) -> str:
    """A number and a noun: `1 prompt`, `3 prompts`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def thinned(batch: NDArray[Any], edge: int = _EDGE_PX) -> NDArray[Any]:
    """[B, C, H, W] with every n-th row and column only, where it is more than `edge` on a side. No copy."""
    step = max(max(batch.shape[2:]) // edge, 1)
    return batch[:, :, ::step, ::step]


def first_pictures(batch: NDArray[np.float32], count: int) -> tuple[NDArray[np.uint8], ...]:
    """The first pictures of [B, 3 or 1, H, W] in 0..1, as uint8 [H, W, 3] or [H, W]; values outside are clipped."""
    scaled = np.clip(thinned(batch[:count]), 0, 1) * np.float32(255) + np.float32(0.5)
    pictures = scaled.astype(np.uint8).transpose(0, 2, 3, 1)
    return tuple(picture[:, :, 0] if picture.shape[2] == 1 else picture for picture in pictures)


def false_colours(batch: NDArray[np.float32], count: int) -> tuple[NDArray[np.uint8], ...]:
    """The first items of [B, C, h, w] as uint8 [h, w, 3], with what varies most in red, then green, then blue.

    The colours are the three principal components of the channels (Jolliffe, Principal Component Analysis, 2002, ch. 1)
    over all these items, each stretched from its 1st to its 99th percentile. Values that are not finite count as 0.
    """
    chosen = np.nan_to_num(thinned(batch[:count], 256).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    items, channels, height, width = chosen.shape
    points = chosen.transpose(0, 2, 3, 1).reshape(-1, channels)
    points -= points.mean(0)
    colours = _stretched(points @ _main_directions(points))
    return tuple(colours.reshape(items, height, width, 3))


def _main_directions(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """[C, 3]: the directions of [N, C] points around 0 in which they vary most; 0 where there are fewer."""
    _, vectors = np.linalg.eigh(points.T @ points)
    chosen = vectors[:, ::-1][:, :3]
    strongest = np.take_along_axis(chosen, np.abs(chosen).argmax(0)[None], 0)
    chosen = chosen * np.where(strongest < 0, -1.0, 1.0)  # a direction and its opposite are equally good
    return np.pad(chosen, ((0, 0), (0, 3 - chosen.shape[1])))


def _stretched(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """[N, 3] in 0..255; a column without differences is in the middle."""
    low, high = np.percentile(values, (1, 99), axis=0)
    span = high - low
    unit = np.where(span > 0, (values - low) / np.where(span > 0, span, 1), 0.5)
    return (np.clip(unit, 0, 1) * 255 + 0.5).astype(np.uint8)
