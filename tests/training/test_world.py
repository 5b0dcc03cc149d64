"""Laws of the shapes world: positions, contrast and the held-out split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.shapes.judge import Found, relation_of
from training.shapes.world import (
    INVERSE,
    SHAPES,
    Scene,
    distinguishable,
    is_held_out,
    sample_scene,
    sample_split,
    split_key,
)

seeds = st.integers(0, 2**32 - 1)


def scene_from(seed: int, pair_share: float = 0.5) -> Scene:
    return sample_scene(np.random.default_rng(seed), pair_share)


@given(seeds)
def test_a_seed_names_one_scene(seed: int) -> None:
    assert scene_from(seed) == scene_from(seed)


@given(seeds)
def test_the_relation_agrees_with_the_positions(seed: int) -> None:
    scene = scene_from(seed, pair_share=1.0)
    first, second = (Found(obj.shape, obj.colour, obj.centre_x, obj.centre_y) for obj in scene.objects)
    assert relation_of(first, second) == scene.relation


@given(seeds)
def test_every_object_stands_out_from_the_background(seed: int) -> None:
    scene = scene_from(seed)
    assert all(distinguishable(obj.colour, obj.style, scene.background) for obj in scene.objects)


@given(seeds)
def test_two_objects_are_never_alike(seed: int) -> None:
    first, second = scene_from(seed, pair_share=1.0).objects
    assert (first.shape, first.colour) != (second.shape, second.colour)


@given(seeds)
def test_only_large_objects_have_a_style_and_rings_are_never_outlined(seed: int) -> None:
    for obj in scene_from(seed).objects:
        assert obj.style == "plain" or obj.size == "large"
        assert (obj.shape, obj.style) != ("ring", "outlined")


@given(seeds, st.booleans())
def test_the_split_gives_only_what_was_asked_for(seed: int, held_out: bool) -> None:
    assert is_held_out(sample_split(np.random.default_rng(seed), held_out)) == held_out


@given(seeds)
def test_a_pair_named_from_its_other_object_is_the_same_combination(seed: int) -> None:
    scene = scene_from(seed, pair_share=1.0)
    assert scene.relation is not None
    turned = replace(scene, objects=scene.objects[::-1], relation=INVERSE[scene.relation])
    assert split_key(turned) == split_key(scene)


@given(seeds)
def test_size_and_style_do_not_change_the_split(seed: int) -> None:
    scene = scene_from(seed, pair_share=0.0)
    (only,) = scene.objects
    other = replace(scene, objects=(replace(only, size="small", style="plain"),))
    assert is_held_out(other) == is_held_out(scene)


@pytest.mark.parametrize("pair_share", [0.0, 1.0])
def test_about_one_scene_in_ten_is_held_out(pair_share: float) -> None:
    rng = np.random.default_rng(0)
    share = np.mean([is_held_out(sample_scene(rng, pair_share)) for _ in range(2000)])
    assert 0.07 < share < 0.13


def test_every_shape_occurs_on_both_sides_of_the_split() -> None:
    rng = np.random.default_rng(1)
    for held_out in (True, False):
        seen = {sample_split(rng, held_out, pair_share=0.0).objects[0].shape for _ in range(200)}
        assert seen == set(SHAPES)
