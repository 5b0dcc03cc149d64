"""Drawing a scene with signed distances, anti-aliased analytically: one pixel of distance is one step of coverage."""

from __future__ import annotations

from functools import cache

import numpy as np

from training.shapes.palette import background_rgb, object_rgb, stripe_rgb
from training.shapes.world import Obj, Scene, ShapeName

STROKE = 0.045
"""Width of an outline as a fraction of the picture's side (2.9 pixels of 64)."""
STRIPE_PERIOD = 0.14
"""Distance of two stripes as a fraction of the picture's side (9 pixels of 64)."""
RING_BAND = (0.52, 1.0)
TINT_RANGE = 6
"""Each colour channel of a scene is shifted by at most this much of 255."""


def draw(scene: Scene, image_px: int = 64) -> np.ndarray:
    """The picture of a scene, uint8 RGB [image_px, image_px, 3]."""
    tints = np.random.default_rng(scene.tint_seed).integers(-TINT_RANGE, TINT_RANGE + 1, size=(3, 3))
    picture = np.empty((image_px, image_px, 3), dtype=np.float32)
    picture[:] = np.array(background_rgb(scene.background)) + tints[0]
    for obj, tint in zip(scene.objects, tints[1:], strict=False):
        _paint(picture, obj, tint)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def object_mask(obj: Obj, image_px: int = 64) -> np.ndarray:
    """The pixels that one object covers by at least half, bool [image_px, image_px]."""
    x, y = _grid(image_px)
    return _coverage(obj, x - obj.centre_x, y - obj.centre_y, image_px) >= 0.5


def object_distance(obj: Obj, image_px: int = 64) -> np.ndarray:
    """Distance of each pixel to one object's edge in picture fractions, negative inside, [image_px, image_px]."""
    x, y = _grid(image_px)
    return _distance(obj, x - obj.centre_x, y - obj.centre_y)


def scene_mask(scene: Scene, image_px: int = 64) -> np.ndarray:
    """The pixels that any object covers by at least half, bool [image_px, image_px]."""
    return np.logical_or.reduce([object_mask(obj, image_px) for obj in scene.objects])


def _paint(picture: np.ndarray, obj: Obj, tint: np.ndarray) -> None:
    """Blend one object into the picture, float32 [H, W, 3], in place; only inside the object's bounding box."""
    image_px = picture.shape[0]
    reach = 1.35 * obj.radius
    left, right = _span(obj.centre_x, reach, image_px)
    top, bottom = _span(obj.centre_y, reach, image_px)
    x, y = _grid(image_px)
    x, y = x[:, left:right] - obj.centre_x, y[top:bottom] - obj.centre_y
    cover = _coverage(obj, x, y, image_px)[..., None]
    colour = np.array(object_rgb(obj.colour), dtype=np.float32)
    if obj.style == "striped":
        phase = (x + y) / (2**0.5 * STRIPE_PERIOD)
        edge_px = (np.abs((phase % 1.0) - 0.5) - 0.25) * STRIPE_PERIOD * image_px
        second = np.clip(0.5 + edge_px, 0.0, 1.0)[..., None]
        colour = colour + second * (np.array(stripe_rgb(obj.colour), dtype=np.float32) - colour)
    region = picture[top:bottom, left:right]
    region += cover * (colour + tint - region)


def _span(centre: float, reach: float, image_px: int) -> tuple[int, int]:
    return max(int((centre - reach) * image_px), 0), min(int((centre + reach) * image_px) + 2, image_px)


@cache
def _grid(image_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres in picture fractions: x [1, image_px] and y [image_px, 1]."""
    middle = (np.arange(image_px, dtype=np.float32) + 0.5) / image_px
    return middle[None, :], middle[:, None]


def _coverage(obj: Obj, x: np.ndarray, y: np.ndarray, image_px: int) -> np.ndarray:
    """How much of each pixel the object covers, 0..1, at offsets `x` and `y` from its centre."""
    return np.clip(0.5 - _distance(obj, x, y) * image_px, 0.0, 1.0)


def _distance(obj: Obj, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance to the object's edge in picture fractions, negative inside, at offsets from its centre."""
    turn = np.deg2rad(obj.rotation_deg)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    distance = _signed_distance(obj.shape, cos * x + sin * y, cos * y - sin * x, obj.radius)
    if obj.style == "outlined":
        distance = np.abs(distance + STROKE / 2) - STROKE / 2
    return distance


def _signed_distance(shape: ShapeName, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Distance to the shape's edge in picture fractions, negative inside."""
    if shape == "circle":
        return np.hypot(x, y) - radius
    if shape == "ring":
        inner, outer = RING_BAND
        middle, half = radius * (inner + outer) / 2, radius * (outer - inner) / 2
        return np.abs(np.hypot(x, y) - middle) - half
    return _polygon_distance(x, y, _vertices(shape) * np.float32(radius))


@cache
def _vertices(shape: ShapeName) -> np.ndarray:
    """Corners of a polygonal shape of radius 1 around the origin, y pointing down, float32 [N, 2]."""
    if shape == "square":
        return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float32) * np.float32(0.9)
    if shape == "cross":
        arm, end = 0.34, 1.05
        quarter = [(-arm, -end), (arm, -end), (arm, -arm)]
        corners = [_rotate(point, 90.0 * turn) for turn in range(4) for point in quarter]
        return np.array(corners, dtype=np.float32)
    if shape == "triangle":
        points = [_rotate((0.0, -1.2), 120.0 * corner) for corner in range(3)]
        return np.array(points, dtype=np.float32) + np.array([0.0, 0.2], dtype=np.float32)
    tips = [_rotate((0.0, -1.18 if corner % 2 == 0 else -0.5), 36.0 * corner) for corner in range(10)]
    return np.array(tips, dtype=np.float32)


def _rotate(point: tuple[float, float], angle_deg: float) -> tuple[float, float]:
    cos, sin = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return (float(cos * point[0] - sin * point[1]), float(sin * point[0] + cos * point[1]))


def _polygon_distance(x: np.ndarray, y: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Signed distance to a simple polygon: nearest edge, sign by the even-odd rule of crossings."""
    nearest = np.full(np.broadcast_shapes(x.shape, y.shape), np.inf, dtype=np.float32)
    inside = np.zeros(nearest.shape, dtype=np.bool_)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        ex, ey, px, py = bx - ax, by - ay, x - ax, y - ay
        along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0.0, 1.0)
        nearest = np.minimum(nearest, (px - along * ex) ** 2 + (py - along * ey) ** 2)
        left = ex * py - ey * px > 0
        inside ^= np.where(left, (ay <= y) & (by > y), (ay > y) & (by <= y))
    return np.where(inside, -1.0, 1.0).astype(np.float32) * np.sqrt(nearest)
