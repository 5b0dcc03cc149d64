"""Edges after Canny 1986, "A computational approach to edge detection", bit for bit as OpenCV computes them."""

from __future__ import annotations

import numpy as np

from sdgraph.models.preprocess.filters import gaussian_blur, shifted

_TAN_22_5 = 13573
"""tan(22.5 degrees) in 1/32768: gradients are compared with it in whole numbers."""
_NEIGHBOURS = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if (row, column) != (0, 0)]


def canny(picture: np.ndarray, low: float, high: float, blur_px: float = 0.0) -> np.ndarray:
    """Edges, bool [H, W], of a picture, uint8 [C, H, W].

    A pixel whose gradient (3x3 Sobel, sum of absolute parts, of the strongest channel) is above `high` and the largest
    across the edge starts one, and neighbours above `low` continue it. `blur_px` is the deviation of a Gaussian that
    goes before. Thresholds are in steps of 1/255, up to 2040.
    """
    if blur_px > 0:
        picture = np.rint(gaussian_blur(picture, blur_px)).astype(np.uint8)
    across, down = _gradient(picture.astype(np.int32))
    size = np.abs(across) + np.abs(down)
    thin = _is_ridge(size, across, down) & (size > np.floor(low))
    return _connected(thin, thin & (size > np.floor(high)))


def _gradient(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sobel derivatives to the right and down, int32 [H, W], each pixel's of the channel where they are strongest."""
    near = {(row, column): shifted(picture, row, column) for row, column in _NEIGHBOURS}
    across = near[-1, 1] - near[-1, -1] + 2 * (near[0, 1] - near[0, -1]) + near[1, 1] - near[1, -1]
    down = near[1, -1] - near[-1, -1] + 2 * (near[1, 0] - near[-1, 0]) + near[1, 1] - near[-1, 1]
    strongest = np.argmax(np.abs(across) + np.abs(down), axis=0)[None]
    return np.take_along_axis(across, strongest, 0)[0], np.take_along_axis(down, strongest, 0)[0]


def _is_ridge(size: np.ndarray, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Where the gradient is largest along its own direction, rounded to 45 degrees; of two equal ones the first is."""

    def larger(row: int, column: int, equal: bool) -> np.ndarray:
        other = shifted(size, row, column, mode="constant")
        return size >= other if equal else size > other

    x, y = np.abs(across).astype(np.int64), np.abs(down).astype(np.int64) << 15
    flat, steep = y < x * _TAN_22_5, y > x * (_TAN_22_5 + (1 << 16))
    falling = (across ^ down) < 0
    diagonal = np.where(
        falling, larger(-1, 1, False) & larger(1, -1, False), larger(-1, -1, False) & larger(1, 1, False)
    )
    horizontal, vertical = larger(0, -1, False) & larger(0, 1, True), larger(-1, 0, False) & larger(1, 0, True)
    return np.where(flat, horizontal, np.where(steep, vertical, diagonal))


def _connected(candidates: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The candidates that a path of neighbouring candidates joins to a start; the front grows by one pixel a round."""
    height, width = candidates.shape
    waiting = np.pad(candidates & ~starts, 1).reshape(-1)
    front = np.flatnonzero(np.pad(starts, 1))
    found = np.pad(starts, 1).reshape(-1)
    steps = np.array([row * (width + 2) + column for row, column in _NEIGHBOURS])
    while front.size:
        reached = np.unique((front[:, None] + steps).reshape(-1))
        front = reached[waiting[reached]]
        waiting[front] = False
        found[front] = True
    return found.reshape(height + 2, width + 2)[1:-1, 1:-1]
