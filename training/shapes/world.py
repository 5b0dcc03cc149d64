"""What a picture of the shapes world contains: objects, relation, background, and which scenes are held out.

Lengths and positions are fractions of the picture's side, so a scene can be drawn at any resolution.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np

from training.shapes.palette import background_rgb, lab_distance, object_rgb, stripe_rgb

ShapeName = Literal["circle", "square", "triangle", "star", "ring", "cross"]
ColourName = Literal["red", "green", "blue", "yellow", "orange", "purple", "black", "white", "cyan", "pink"]
SizeName = Literal["small", "large"]
StyleName = Literal["plain", "outlined", "striped"]
RelationName = Literal["left of", "right of", "above", "below"]

SHAPES: tuple[ShapeName, ...] = get_args(ShapeName)
COLOURS: tuple[ColourName, ...] = get_args(ColourName)
SIZES: tuple[SizeName, ...] = get_args(SizeName)
RELATIONS: tuple[RelationName, ...] = get_args(RelationName)
BACKGROUNDS: tuple[str, ...] = (
    *COLOURS,
    "grey",
    *(f"light {name}" for name in ("grey", "blue", "green", "yellow", "purple", "orange")),
    *(f"dark {name}" for name in ("grey", "blue", "green", "red", "purple")),
)
INVERSE: dict[RelationName, RelationName] = {
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
}

SINGLE_RADIUS: dict[SizeName, float] = {"small": 0.2, "large": 0.33}
PAIR_RADIUS: dict[SizeName, float] = {"small": 0.155, "large": 0.195}
HELD_OUT_PERCENT = 10
MIN_LAB_DISTANCE = 40.0
"""Smallest distance in CIE Lab between an object (or its stripes) and the background behind it."""


@dataclass(frozen=True)
class Obj:
    """One object; centre and radius are fractions of the picture's side, the rotation is in degrees."""

    shape: ShapeName
    colour: ColourName
    size: SizeName
    style: StyleName
    centre_x: float
    centre_y: float
    radius: float
    rotation_deg: float


@dataclass(frozen=True)
class Scene:
    """One or two objects on a flat background; `relation` places the first object relative to the second."""

    objects: tuple[Obj, ...]
    background: str
    relation: RelationName | None = None
    tint_seed: int = 0


def split_key(scene: Scene) -> str:
    """The combination that is held out or trained on as a whole.

    A single object is known by shape, colour and background; a pair by both objects and their relation, written
    so that "A left of B" and "B right of A" are one combination.
    """
    names = [f"{obj.colour} {obj.shape}" for obj in scene.objects]
    if scene.relation is None:
        return f"{names[0]} on {scene.background}"
    relation = scene.relation
    if relation in ("right of", "below"):
        names.reverse()
        relation = INVERSE[relation]
    return f"{names[0]} {relation} {names[1]}"


def is_held_out(scene: Scene) -> bool:
    """Whether the scene belongs to the evaluation part (about one combination in ten)."""
    digest = hashlib.sha256(split_key(scene).encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < HELD_OUT_PERCENT


@cache
def distinguishable(colour: ColourName, style: StyleName, background: str) -> bool:
    """Whether every tone of an object stands out from the background."""
    ground = background_rgb(background)
    tones = [object_rgb(colour)] + ([stripe_rgb(colour)] if style == "striped" else [])
    return min(lab_distance(tone, ground) for tone in tones) >= MIN_LAB_DISTANCE


def sample_scene(rng: np.random.Generator, pair_share: float = 0.6) -> Scene:
    """A random scene of the whole world; about `pair_share` of them have two objects."""
    while True:
        pair = rng.random() < pair_share
        scene = _sample_pair(rng) if pair else _sample_single(rng)
        if all(distinguishable(obj.colour, obj.style, scene.background) for obj in scene.objects):
            return scene


def sample_split(rng: np.random.Generator, held_out: bool, pair_share: float = 0.6) -> Scene:
    """A random scene of the training part or of the held-out part."""
    while True:
        scene = sample_scene(rng, pair_share)
        if is_held_out(scene) == held_out:
            return scene


def _sample_background(rng: np.random.Generator) -> str:
    if rng.random() < 0.25:
        return "white"
    return BACKGROUNDS[rng.integers(len(BACKGROUNDS))]


def _sample_style(rng: np.random.Generator, shape: ShapeName, size: SizeName) -> StyleName:
    """Small objects stay plain and rings are never outlined: at 64 pixels neither could be told apart."""
    if size == "small" or rng.random() < 0.7:
        return "plain"
    return "striped" if shape == "ring" or rng.random() < 0.5 else "outlined"


def _sample_object(rng: np.random.Generator, radii: dict[SizeName, float], x: float, y: float) -> Obj:
    shape = SHAPES[rng.integers(len(SHAPES))]
    size = SIZES[rng.integers(len(SIZES))]
    return Obj(
        shape=shape,
        colour=COLOURS[rng.integers(len(COLOURS))],
        size=size,
        style=_sample_style(rng, shape, size),
        centre_x=x,
        centre_y=y,
        radius=radii[size] * rng.uniform(0.94, 1.06),
        rotation_deg=rng.uniform(-10.0, 10.0),
    )


def _sample_single(rng: np.random.Generator) -> Scene:
    x, y = (float(value) for value in rng.uniform(0.42, 0.58, size=2))
    return Scene((_sample_object(rng, SINGLE_RADIUS, x, y),), _sample_background(rng), None, int(rng.integers(2**31)))


def _sample_pair(rng: np.random.Generator) -> Scene:
    relation = RELATIONS[rng.integers(len(RELATIONS))]
    near, far = float(rng.uniform(0.235, 0.265)), float(rng.uniform(0.735, 0.765))
    along = (near, far) if relation in ("left of", "above") else (far, near)
    across = [float(value) for value in rng.uniform(0.42, 0.58, size=2)]
    points = list(zip(along, across, strict=True))
    if relation in ("above", "below"):
        points = [(x, y) for y, x in points]
    while True:
        first, second = (_sample_object(rng, PAIR_RADIUS, x, y) for x, y in points)
        if (first.shape, first.colour) != (second.shape, second.colour):
            return Scene((first, second), _sample_background(rng), relation, int(rng.integers(2**31)))
