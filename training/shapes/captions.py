"""Captions of scenes as people write prompts: many paraphrases, words left out, filler words added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from training.shapes.vocabulary import PROMPT_WORDS
from training.shapes.world import COLOURS, INVERSE, SHAPES, Obj, RelationName, Scene

_T = TypeVar("_T")

PREFIXES = ("a photo of", "a drawing of", "a picture of", "an image of", "an illustration of", "a painting of")
SUFFIXES = (
    "simple",
    "flat design",
    "vector art",
    "high quality",
    "best quality",
    "masterpiece",
    "detailed",
    "minimal",
    "sharp focus",
    "4k",
    "clean",
    "digital art",
)
SIZE_WORDS = {
    "small": ("small", "small", "small", "tiny", "little"),
    "large": ("large", "large", "large", "big", "huge"),
}
RELATION_WORDS: dict[RelationName, tuple[str, ...]] = {
    "left of": ("left of", "left of", "to the left of", "on the left of"),
    "right of": ("right of", "right of", "to the right of", "on the right of"),
    "above": ("above", "above", "above", "over"),
    "below": ("below", "below", "below", "under", "beneath"),
}
POSSESSIVE_WORDS: dict[RelationName, tuple[str, ...]] = {
    "left of": ("to its left", "on its left", "on the left"),
    "right of": ("to its right", "on its right", "on the right"),
    "above": ("above it", "over it"),
    "below": ("below it", "under it"),
}
VOWELS = "aeiou"
_FORBIDDEN = {
    *COLOURS, *SHAPES, *(shape + "s" for shape in SHAPES), "crosses", "grey", "gray", "light", "dark", "small", "large",
    "tiny", "little", "big", "huge", "left", "right", "above", "below", "under", "over", "beneath", "underneath",
    "outlined", "outline", "striped", "stripe", "stripes", "background", "top", "bottom", "no", "not", "without",
}  # fmt: skip
FILLER_WORDS = tuple(word for word in PROMPT_WORDS if word not in _FORBIDDEN)
"""Words that say nothing about a scene; the model learns to pass over them."""


def plain_caption(scene: Scene) -> str:
    """The full caption in its plainest words: "a large red star left of a small blue ring on a white background"."""
    parts = [_with_article(f"{obj.size} {_style(obj)}{obj.colour} {obj.shape}") for obj in scene.objects]
    joined = parts[0] if scene.relation is None else f"{parts[0]} {scene.relation} {parts[1]}"
    return f"{joined} on {_with_article(scene.background + ' background')}"


def write_caption(scene: Scene, rng: np.random.Generator) -> str:
    """One random caption; it never says anything that the picture does not show, but may leave details out.

    Colour and shape of each object are always named. Without a word on the background the picture has whatever
    background the scene has, which is white more often than any other.
    """
    text = _things(scene, rng)
    if rng.random() < 0.2:
        text = f"{_pick(rng, PREFIXES)} {text}"
    if rng.random() < _background_share(scene):
        text = _with_background(scene, rng, text)
    if rng.random() < 0.12:
        options = SUFFIXES if rng.random() < 0.5 else FILLER_WORDS
        text = ", ".join([text, *(_pick(rng, options) for _ in range(rng.integers(1, 4)))])
    return text


def _background_share(scene: Scene) -> float:
    """How often the background is named: a white one may go unsaid, so that silence means white, mostly."""
    return 0.6 if scene.background == "white" else 0.92


def _with_background(scene: Scene, rng: np.random.Generator, text: str) -> str:
    ground = scene.background if rng.random() < 0.85 else scene.background.replace("grey", "gray")
    form = rng.random()
    if form < 0.75:
        article = _with_article(f"{ground} background")
        return f"{text} on {article}" if rng.random() < 0.85 else f"{text} on {ground} background"
    if form < 0.87:
        return f"{text}, {ground} background"
    return f"{text} {_pick(rng, ('against', 'in front of', 'with'))} {_with_article(ground + ' background')}"


def _things(scene: Scene, rng: np.random.Generator) -> str:
    with_article = rng.random() < 0.88
    names = [_object_words(obj, rng) for obj in scene.objects]
    if with_article:
        names = [_with_article(name) for name in names]
    if scene.relation is None:
        return names[0]
    first, second = names
    relation = scene.relation
    form = rng.random()
    if form < 0.05:
        pair = names if rng.random() < 0.5 else names[::-1]
        return f"{pair[0]} and {pair[1]}"
    if rng.random() < 0.3:
        first, second, relation = second, first, INVERSE[relation]
    if form < 0.15:
        return f"{second} with {first} {_pick(rng, POSSESSIVE_WORDS[relation])}"
    if form < 0.2:
        return f"{first} is {_pick(rng, RELATION_WORDS[relation])} {second}"
    return f"{first} {_pick(rng, RELATION_WORDS[relation])} {second}"


def _object_words(obj: Obj, rng: np.random.Generator) -> str:
    """Adjectives in a likely order, then the shape."""
    adjectives: list[str] = []
    if rng.random() < 0.6:
        adjectives.append(_pick(rng, SIZE_WORDS[obj.size]))
    if obj.style != "plain" and rng.random() < 0.9:
        adjectives.append(obj.style)
    adjectives.append(obj.colour)
    if rng.random() < 0.2:
        adjectives = [adjectives[index] for index in rng.permutation(len(adjectives))]
    return " ".join([*adjectives, obj.shape])


def _style(obj: Obj) -> str:
    return "" if obj.style == "plain" else f"{obj.style} "


def _with_article(words: str) -> str:
    return f"an {words}" if words[0] in VOWELS else f"a {words}"


def _pick(rng: np.random.Generator, options: Sequence[_T]) -> _T:
    return options[int(rng.integers(len(options)))]
