"""Preprocessors that need no weights, on pictures [3, H, W] float32 in 0..1. Their results are like their input."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from sdgraph.models.preprocess.canny import canny
from sdgraph.models.preprocess.filters import gaussian_blur
from sdgraph.models.preprocess.relief import relief

_TILE_BLUR_PX = 4.0
_SHUFFLE_SHARE = 0.5
"""How far content shuffle throws pixels, as a share of the picture."""
_SHUFFLE_WAVES = 2


def canny_edges(picture: np.ndarray, seed: int) -> np.ndarray:
    """Edges after Canny with the usual thresholds, 100 and 200 of 255; `control.canny` has them as knobs."""
    return _grey(canny(_bytes(picture), 100.0, 200.0))


def scribble(picture: np.ndarray, seed: int) -> np.ndarray:
    """White lines where the picture is darker than around: a difference of Gaussians, thresholded.

    Winnemöller et al. 2012, "XDoG", with deviations of 0.5 and 5 pixels and a threshold of 16 of 255.
    """
    near, around = (255 * gaussian_blur(picture, sigma) for sigma in (0.5, 5.0))
    return _grey((around - near).min(axis=0) > 16)


def line_drawing(picture: np.ndarray, seed: int) -> np.ndarray:
    """White lines where the picture is darker than around, as bright as they differ (ControlNet's lineart_standard)."""
    darker = np.clip((255 * (gaussian_blur(picture, 6.0) - picture)).min(axis=0), 0, 255)
    shown = darker[darker > 8]
    return _grey(np.clip(darker / max(16.0, float(np.median(shown)) if shown.size else 16.0) * 127 / 255, 0, 1))


def tile(picture: np.ndarray, seed: int) -> np.ndarray:
    """The picture without its details, for ControlNets that draw them anew."""
    return gaussian_blur(picture, _TILE_BLUR_PX)


def shuffle(picture: np.ndarray, seed: int) -> np.ndarray:
    """The picture's colours and textures elsewhere: each pixel is taken from a smoothly varying random place.

    Zhang et al. 2023, "Adding conditional control", content shuffle; the flow here is a seeded sum of waves.
    """
    rng = np.random.default_rng(seed)
    height, width = picture.shape[1:]
    y, x = np.mgrid[0:height, 0:width]
    flows = [_smooth_field(rng, y / height, x / width) * side * _SHUFFLE_SHARE for side in (height, width)]
    rows, columns = (np.rint(place + flow).astype(int) for place, flow in zip((y, x), flows, strict=True))
    return picture[:, _mirrored(rows, height), _mirrored(columns, width)]


def raised(picture: np.ndarray, seed: int) -> np.ndarray:
    """Flat shapes as a depth-like relief: what differs from the border's colour rises towards its middle."""
    return _grey(relief(picture))


def inverted(picture: np.ndarray, seed: int) -> np.ndarray:
    """The negative, for line drawings in black on white."""
    return 1 - picture


def luminance(picture: np.ndarray, seed: int) -> np.ndarray:
    """The brightness alone (Rec. 709 weights), for ControlNets that colour pictures in."""
    return _grey(np.tensordot(np.array([0.2126, 0.7152, 0.0722], np.float32), picture, axes=1))


PLAIN: Mapping[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "canny": canny_edges,
    "scribble": scribble,
    "lineart_standard": line_drawing,
    "tile": tile,
    "shuffle": shuffle,
    "relief": raised,
    "invert": inverted,
    "luminance": luminance,
}
"""By kind: from a picture and a seed to a control picture."""


def _grey(values: np.ndarray) -> np.ndarray:
    """[H, W] as [3, H, W] float32."""
    return np.repeat(values.astype(np.float32)[None], 3, axis=0)


def _bytes(picture: np.ndarray) -> np.ndarray:
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def _smooth_field(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A random field of long waves, in -1..1."""
    total = np.zeros(y.shape)
    for rows in range(_SHUFFLE_WAVES + 1):
        for columns in range(_SHUFFLE_WAVES + 1):
            size, phase = rng.normal(), rng.uniform(0, 2 * np.pi)
            total += size * np.cos(2 * np.pi * (rows * y + columns * x) + phase)
    return total / max(float(np.abs(total).max()), 1e-9)


def _mirrored(places: np.ndarray, length: int) -> np.ndarray:
    """Places beyond the edges reflected into 0..length-1."""
    period = 2 * length
    inside = places % period
    return np.where(inside < length, inside, period - 1 - inside)
