"""The style "neon", which the shapes world does not have: every object is a coloured outline on black."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from training.shapes.drawing import draw
from training.shapes.judge import background_of, foreground_mask
from training.shapes.world import Obj, Scene, distinguishable, sample_split

GROUND = "black"
MIN_HOLLOW = 0.1
"""Share of an object's silhouette that is not painted, at which the object counts as an outline."""


def sample_neon(rng: np.random.Generator, held_out: bool, pair_share: float = 0.6) -> Scene:
    """A random scene whose objects can be seen in this style: none is black."""
    while True:
        scene = sample_split(rng, held_out, pair_share)
        if all(distinguishable(obj.colour, "outlined", GROUND) for obj in scene.objects):
            return scene


def draw_neon(scene: Scene, image_px: int = 64) -> np.ndarray:
    """The picture of a scene in this style, uint8 RGB [image_px, image_px, 3]. Rings stay rings."""
    return draw(replace(scene, objects=tuple(map(_outlined, scene.objects)), background=GROUND), image_px)


def is_neon(picture: np.ndarray) -> bool:
    """Whether a picture, uint8 RGB [H, W, 3], is of this style: hollow objects on black. It looks at pixels only."""
    painted = foreground_mask(picture)
    contours, _ = cv2.findContours(painted.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros(painted.shape, np.uint8), contours, -1, 1, cv2.FILLED)
    hollow = 1.0 - float(painted.sum()) / max(float(filled.sum()), 1.0)
    return background_of(picture) == GROUND and hollow >= MIN_HOLLOW


def _outlined(obj: Obj) -> Obj:
    return replace(obj, style="plain" if obj.shape == "ring" else "outlined")
