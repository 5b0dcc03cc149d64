from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sdgraph.models.preprocess.relief import EDGE_HEIGHT, distance_to_outside, height_at, relief, shapes_of


def square_picture(side_px: int = 32, colour: float = 1.0, ground: float = 0.0) -> np.ndarray:
    picture = np.full((3, side_px, side_px), ground, np.float32)
    picture[:, 8:24, 8:24] = colour
    return picture


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12))
@settings(max_examples=50)
def test_the_distance_is_that_to_the_nearest_pixel_outside(seed: int, height: int, width: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.8
    outside = np.argwhere(~mask)
    pixels = np.argwhere(np.ones_like(mask)).reshape(height, width, 1, 2)
    expected = (
        np.linalg.norm(pixels - outside[None, None], axis=-1).min(axis=-1)
        if len(outside)
        else np.full(mask.shape, np.inf)
    )
    assert np.allclose(distance_to_outside(mask), expected)


def test_height_rises_from_the_edge_and_ends_at_one() -> None:
    heights = height_at(np.array([-1.0, 0.0, 1e-9, 0.1, 0.2, 0.33, 5.0, np.inf]))
    assert heights[:2].tolist() == [0, 0]
    assert np.isclose(heights[2], EDGE_HEIGHT, atol=1e-3)
    assert np.all(np.diff(heights[1:6]) > 0)
    assert heights[-2:].tolist() == [1, 1]


def test_a_square_becomes_a_pyramid() -> None:
    height = relief(square_picture())
    assert height[:8].max() == height[24:].max() == 0
    assert np.array_equal(height, height[::-1])
    assert np.array_equal(height, height.T)
    assert np.all(np.diff(height[16, 8:16]) > 0)


def test_the_relief_does_not_depend_on_colours() -> None:
    white = relief(square_picture())
    assert np.array_equal(white, relief(square_picture(colour=0.0, ground=1.0)))
    assert np.array_equal(white, relief(square_picture(colour=0.6, ground=0.3)))


def test_an_empty_picture_has_no_relief() -> None:
    assert not shapes_of(np.full((3, 8, 8), 0.5, np.float32)).any()
    assert not relief(np.full((3, 8, 8), 0.5, np.float32)).any()
