"""Drawing: the same scene gives the same picture, at any size, where its masks say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.shapes.drawing import draw, object_mask, scene_mask
from training.shapes.palette import background_rgb, lab_distance, object_rgb
from training.shapes.world import COLOURS, SHAPES, Obj, Scene, sample_scene

seeds = st.integers(0, 2**32 - 1)


def one(shape: str, style: str = "plain") -> Scene:
    obj = Obj(shape, "red", "large", style, 0.5, 0.5, 0.33, 0.0)  # type: ignore[arg-type]
    return Scene((obj,), "white")


@given(seeds)
@settings(max_examples=30)
def test_drawing_is_deterministic(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed))
    assert np.array_equal(draw(scene), draw(scene))


@given(seeds, st.sampled_from([32, 64, 96, 128]))
@settings(max_examples=30)
def test_a_picture_has_the_size_asked_for_and_the_border_is_background(seed: int, image_px: int) -> None:
    scene = sample_scene(np.random.default_rng(seed))
    picture = draw(scene, image_px)
    assert picture.shape == (image_px, image_px, 3)
    assert picture.dtype == np.uint8
    difference = picture[0, 0].astype(int) - np.array(background_rgb(scene.background))
    assert np.abs(difference).max() <= 6


@given(seeds)
@settings(max_examples=30)
def test_masks_cover_what_differs_from_the_background(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed))
    picture = draw(scene).astype(int)
    changed = np.abs(picture - picture[0, 0]).max(axis=2) > 0
    assert not (scene_mask(scene) & ~changed).any()


def test_a_circle_has_the_area_of_a_circle() -> None:
    area = object_mask(one("circle").objects[0], 256).mean()
    assert area == pytest.approx(np.pi * 0.33**2, rel=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_symmetric_and_outlines_are_hollow(shape: str) -> None:
    filled = object_mask(one(shape).objects[0], 128)
    assert np.mean(filled != filled[:, ::-1]) < 0.01
    if shape != "ring":
        outlined = object_mask(one(shape, "outlined").objects[0], 128)
        assert outlined.sum() < 0.75 * filled.sum()
        assert not (outlined & ~filled).any()


def test_stripes_change_about_half_of_an_object() -> None:
    plain, striped = draw(one("square")).astype(int), draw(one("square", "striped")).astype(int)
    mask = object_mask(one("square").objects[0])
    share = (np.abs(plain - striped).sum(axis=2) > 60)[mask].mean()
    assert 0.35 < share < 0.65


def test_colours_are_far_apart() -> None:
    for first in COLOURS:
        for second in COLOURS:
            assert first == second or lab_distance(object_rgb(first), object_rgb(second)) > 30
