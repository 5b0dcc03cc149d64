"""A depth-like picture of flat shapes: each rises from its edge to its middle, so that large ones come nearer."""

from __future__ import annotations

import numpy as np

EDGE_HEIGHT = 0.3
"""Height just inside an edge; the ground is 0."""
FULL_HEIGHT_AT = 0.33
"""Distance from the edge at which the height is 1, as a fraction of the picture's shorter side."""
GROUND_DISTANCE = 0.12
"""A pixel whose colour is farther than this from the border's (Euclidean, of RGB in 0..1) belongs to a shape."""


def height_at(distance: np.ndarray) -> np.ndarray:
    """Height, 0..1, at a distance from the edge in fractions of the picture's side; 0 where it isn't above 0."""
    risen = np.sqrt(np.clip(distance / FULL_HEIGHT_AT, 0.0, 1.0))
    return np.where(distance > 0, EDGE_HEIGHT + (1 - EDGE_HEIGHT) * risen, 0.0).astype(np.float32)


def relief(picture: np.ndarray) -> np.ndarray:
    """The relief of what stands out from the border's colour: [H, W] in 0..1 of a picture [3, H, W] in 0..1."""
    return height_at(distance_to_outside(shapes_of(picture)) / min(picture.shape[1:]))


def shapes_of(picture: np.ndarray) -> np.ndarray:
    """The pixels that differ from the border's median colour, bool [H, W], of a picture [3, H, W] in 0..1."""
    rim = np.concatenate([picture[:, 0], picture[:, -1], picture[:, :, 0], picture[:, :, -1]], axis=1)
    ground = np.median(rim, axis=1)[:, None, None]
    return np.linalg.norm(picture - ground, axis=0) > GROUND_DISTANCE


def distance_to_outside(mask: np.ndarray) -> np.ndarray:
    """Exact Euclidean distance in pixels from each pixel of a mask, bool [H, W], to the nearest one outside it.

    Outside the mask it is 0. Beyond the picture's edge nothing is outside; a full mask is infinitely far from it.
    Felzenszwalb and Huttenlocher 2012, "Distance transforms of sampled functions", section 2: squared distances
    along one axis, then the minimum of parabolas along the other.
    """
    along = _distance_in_columns(mask)
    height, width = mask.shape
    offsets = (np.arange(width)[:, None] - np.arange(width)[None]).astype(np.float64) ** 2
    rows = [np.min(offsets + along[y][None] ** 2, axis=1) for y in range(height)]
    return np.sqrt(np.stack(rows))


def _distance_in_columns(mask: np.ndarray) -> np.ndarray:
    """Distance to the nearest pixel outside the mask in the same column, float [H, W]."""
    down, up = (np.where(mask, np.inf, 0.0) for _ in range(2))
    for y in range(1, len(mask)):
        down[y] = np.minimum(down[y], down[y - 1] + 1)
        up[-1 - y] = np.minimum(up[-1 - y], up[-y] + 1)
    return np.minimum(down, up)
