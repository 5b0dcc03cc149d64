"""The depth-like control image: from a scene, and found in the scene's picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.shapes.depth import depth_of, seen_depth_of
from training.shapes.drawing import draw, scene_mask
from training.shapes.world import SHAPES, Obj, Scene, sample_scene

seeds = st.integers(0, 2**32 - 1)


def one(shape: str, radius: float = 0.33) -> Scene:
    return Scene((Obj(shape, "red", "large", "plain", 0.5, 0.5, radius, 0.0),), "white")  # type: ignore[arg-type]


@given(seeds)
@settings(max_examples=30)
def test_objects_rise_from_the_ground_and_nothing_else_does(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed))
    depth = depth_of(scene)
    assert depth.shape == (3, 64, 64)
    assert depth.dtype == np.float32
    assert np.array_equal(depth[0] > 0, scene_mask(scene))
    assert depth.max() <= 1


@given(seeds)
@settings(max_examples=30)
def test_the_relief_found_in_a_picture_is_that_of_its_scene(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed))
    assert np.abs(seen_depth_of(draw(scene)) - depth_of(scene)).mean() < 0.03


@pytest.mark.parametrize("shape", SHAPES)
def test_large_objects_are_nearer(shape: str) -> None:
    assert depth_of(one(shape, 0.33)).max() > depth_of(one(shape, 0.15)).max() + 0.05


def test_colour_style_of_fill_and_background_do_not_matter() -> None:
    scene = one("square")
    other = replace(scene, objects=(replace(scene.objects[0], colour="blue", style="striped"),), background="black")
    assert np.array_equal(depth_of(scene), depth_of(other))
