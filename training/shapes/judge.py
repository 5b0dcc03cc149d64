"""Judging a picture against its scene without any model: colours in CIE Lab, contours, and shape templates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from training.shapes.drawing import object_mask
from training.shapes.palette import background_rgb, object_rgb, rgb_to_lab, stripe_rgb
from training.shapes.world import BACKGROUNDS, COLOURS, SHAPES, Obj, RelationName, Scene

WORK_PX = 256
"""Pictures are enlarged to this side before they are segmented, so that contours are smooth."""
FOREGROUND_LAB = 20.0
"""Distance in CIE Lab from the border's colour at which a pixel belongs to an object."""
MIN_AREA = 0.008
"""Smallest object, as a share of the picture."""
RING_HOLE = (0.05, 0.43)
"""Hole area over silhouette area of a ring; the hole of an outlined circle is larger."""
TEMPLATE_PX = 48
MIN_TEMPLATE_IOU = 0.7


@dataclass(frozen=True)
class Found:
    """One object seen in a picture; the centre is in fractions of the picture's side."""

    shape: str
    colour: str
    centre_x: float
    centre_y: float


@dataclass(frozen=True)
class Verdict:
    """What of a scene a picture shows. `correct` is objects and relation together; the background counts apart."""

    found: tuple[Found, ...]
    count: bool
    colours: bool
    shapes: bool
    objects: bool
    relation: bool
    background: bool

    @property
    def correct(self) -> bool:
        return self.objects and self.relation


def judge(scene: Scene, picture: np.ndarray) -> Verdict:
    """Compare a picture, uint8 RGB [H, W, 3], with the scene that its caption describes."""
    found = find_objects(picture)
    wanted = scene.objects
    count = len(found) == len(wanted)
    order = _match(wanted, found) if count else None
    relation = scene.relation is None or (order is not None and relation_of(order[0], order[1]) == scene.relation)
    return Verdict(
        found=found,
        count=count,
        colours=sorted(obj.colour for obj in wanted) == sorted(item.colour for item in found),
        shapes=sorted(obj.shape for obj in wanted) == sorted(item.shape for item in found),
        objects=order is not None,
        relation=relation,
        background=background_of(picture) == scene.background,
    )


def find_objects(picture: np.ndarray) -> tuple[Found, ...]:
    """Every object of a picture, uint8 RGB [H, W, 3], largest first."""
    large = cv2.resize(picture, (WORK_PX, WORK_PX), interpolation=cv2.INTER_CUBIC)
    lab = rgb_to_lab(large)
    mask = _foreground(lab).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    kept = [label for label in range(1, count) if stats[label, cv2.CC_STAT_AREA] >= MIN_AREA * mask.size]
    kept.sort(key=lambda label: -int(stats[label, cv2.CC_STAT_AREA]))
    return tuple(_describe(labels == label, lab) for label in kept)


def foreground_mask(picture: np.ndarray) -> np.ndarray:
    """The pixels of a picture, uint8 RGB [H, W, 3], that differ from its border, bool [H, W]."""
    return _foreground(rgb_to_lab(picture))


def background_of(picture: np.ndarray) -> str:
    """The name of the background whose colour is nearest to the picture's border."""
    border = _border_lab(rgb_to_lab(picture))
    tones = rgb_to_lab(np.array([background_rgb(name) for name in BACKGROUNDS]))
    return BACKGROUNDS[int(np.argmin(np.linalg.norm(tones - border, axis=-1)))]


def relation_of(first: Found, second: Found) -> RelationName:
    """Where the first object lies relative to the second, by the longer offset of their centres."""
    x, y = first.centre_x - second.centre_x, first.centre_y - second.centre_y
    if abs(x) >= abs(y):
        return "left of" if x < 0 else "right of"
    return "above" if y < 0 else "below"


def _match(wanted: tuple[Obj, ...], found: tuple[Found, ...]) -> tuple[Found, ...] | None:
    """The found objects in the order of the wanted ones, or None where they are not the same."""
    for order in (found, found[::-1]):
        if all((a.colour, a.shape) == (b.colour, b.shape) for a, b in zip(wanted, order, strict=True)):
            return order
    return None


def _border_lab(lab: np.ndarray) -> np.ndarray:
    """The median colour of the outermost pixels, [3]."""
    width = max(lab.shape[0] // 32, 1)
    rim = [lab[:width], lab[-width:], lab[:, :width], lab[:, -width:]]
    return np.median(np.concatenate([part.reshape(-1, 3) for part in rim]), axis=0)


def _foreground(lab: np.ndarray) -> np.ndarray:
    return np.linalg.norm(lab - _border_lab(lab), axis=-1) > FOREGROUND_LAB


def _describe(mask: np.ndarray, lab: np.ndarray) -> Found:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    silhouette = cv2.drawContours(np.zeros(mask.shape, np.uint8), contours, -1, 1, cv2.FILLED)
    moments = cv2.moments(silhouette, binaryImage=True)
    x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    hole = 1.0 - float(mask.sum()) / float(silhouette.sum())
    return Found(_shape_of(silhouette, hole), _colour_of(mask, lab), x / WORK_PX, y / WORK_PX)


def _colour_of(mask: np.ndarray, lab: np.ndarray) -> str:
    """The colour that most inner pixels are nearest to; stripes count for the colour whose stripes they are."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    pixels = lab[inner if inner.sum() >= 50 else mask]
    distance = np.linalg.norm(pixels[:, None, :] - _tones()[None], axis=-1)
    nearest = np.argmin(distance, axis=1) % len(COLOURS)
    return COLOURS[int(np.bincount(nearest, minlength=len(COLOURS)).argmax())]


@cache
def _tones() -> np.ndarray:
    """CIE Lab of every colour, then of every colour's stripes, [2 * colours, 3]."""
    return rgb_to_lab(np.array([*(object_rgb(name) for name in COLOURS), *(stripe_rgb(name) for name in COLOURS)]))


def _shape_of(silhouette: np.ndarray, hole: float) -> str:
    names, templates = _templates()
    mask = _normalised(silhouette)
    overlap = (templates & mask).sum(axis=(1, 2)) / (templates | mask).sum(axis=(1, 2))
    best = int(np.argmax(overlap))
    if overlap[best] < MIN_TEMPLATE_IOU:
        return "other"
    if names[best] == "circle" and RING_HOLE[0] <= hole <= RING_HOLE[1]:
        return "ring"
    return names[best]


@cache
def _templates() -> tuple[tuple[str, ...], np.ndarray]:
    """Every filled shape at rotations of 6 degrees, normalised: names and masks [N, TEMPLATE_PX, TEMPLATE_PX]."""
    names: list[str] = []
    masks: list[np.ndarray] = []
    for shape in SHAPES:
        if shape == "ring":
            continue
        for angle_deg in range(0, 1 if shape == "circle" else 120, 6):
            obj = Obj(shape, "black", "large", "plain", 0.5, 0.5, 0.3, float(angle_deg))
            names.append(shape)
            masks.append(_normalised(object_mask(obj, WORK_PX).astype(np.uint8)))
    return tuple(names), np.stack(masks)


def _normalised(silhouette: np.ndarray) -> np.ndarray:
    """A silhouette moved and scaled to one centre and one area, bool [TEMPLATE_PX, TEMPLATE_PX]."""
    moments = cv2.moments(silhouette, binaryImage=True)
    x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    scale = 0.5 * TEMPLATE_PX / moments["m00"] ** 0.5
    middle = (TEMPLATE_PX - 1) / 2
    matrix = np.array([[scale, 0.0, middle - scale * x], [0.0, scale, middle - scale * y]])
    warped = cv2.warpAffine(silhouette.astype(np.float32), matrix, (TEMPLATE_PX, TEMPLATE_PX), flags=cv2.INTER_AREA)
    return warped >= 0.5
