"""Preprocessors that need no weights: golden pictures and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdgraph.models.preprocess.filters import gaussian_blur
from sdgraph.models.preprocess.plain import PLAIN

seeds = st.integers(0, 2**32 - 1)


def noise(seed: int, height: int = 12, width: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).random((3, height, width), dtype=np.float32)


def dark_line() -> np.ndarray:
    picture = np.ones((3, 16, 16), np.float32)
    picture[:, :, 8] = 0
    return picture


@given(seeds, st.sampled_from(sorted(PLAIN)), st.integers(4, 24), st.integers(4, 24))
@settings(max_examples=80, deadline=None)
def test_every_kind_keeps_size_and_range_and_its_input(seed: int, kind: str, height: int, width: int) -> None:
    picture = noise(seed, height, width)
    before = picture.copy()
    result = PLAIN[kind](picture, 3)
    assert result.shape == picture.shape
    assert 0 <= result.min() <= result.max() <= 1
    assert np.isfinite(result).all()
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("kind", ["canny", "scribble", "lineart_standard", "relief"])
def test_a_flat_picture_has_nothing_to_draw(kind: str) -> None:
    assert not PLAIN[kind](np.full((3, 16, 16), 0.4, np.float32), 0).any()


def test_a_scribble_draws_a_dark_line_white() -> None:
    rows = PLAIN["scribble"](dark_line(), 0)[0]
    assert np.array_equal(rows, np.broadcast_to(rows[0], rows.shape))
    assert "".join("#" if value else "." for value in rows[0]) == "........#......."


def test_a_line_drawing_is_brightest_on_the_line() -> None:
    lines = PLAIN["lineart_standard"](dark_line(), 0)[0]
    assert np.isclose(lines[:, 8], 127 / 255, atol=0.01).all()
    assert not lines[:, :8].any()


def test_a_shuffle_is_the_same_for_a_seed_and_takes_pixels_of_the_picture() -> None:
    picture = noise(1)
    one, again, other = (PLAIN["shuffle"](picture, seed) for seed in (5, 5, 6))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    colours = {tuple(pixel) for pixel in picture.reshape(3, -1).T}
    assert {tuple(pixel) for pixel in one.reshape(3, -1).T} <= colours


def test_a_shuffle_keeps_neighbours_together() -> None:
    ramp = np.repeat(np.linspace(0, 1, 128, dtype=np.float32)[None, None], 128, axis=1).repeat(3, axis=0)
    steps = np.abs(np.diff(PLAIN["shuffle"](ramp, 4)[0], axis=1))
    assert steps.mean() < 0.05


@given(seeds)
def test_twice_inverted_is_the_picture(seed: int) -> None:
    picture = noise(seed)
    assert np.allclose(PLAIN["invert"](PLAIN["invert"](picture, 0), 0), picture, atol=1e-6)


def test_luminance_is_what_rec_709_says() -> None:
    red, green, blue = (np.eye(3, dtype=np.float32)[i][:, None, None] for i in range(3))
    assert [round(float(PLAIN["luminance"](part, 0)[0, 0, 0]), 4) for part in (red, green, blue)] == [
        0.2126,
        0.7152,
        0.0722,
    ]


def test_a_tile_keeps_the_mean_and_loses_the_details() -> None:
    picture = noise(2, 64, 64)
    blurred = PLAIN["tile"](picture, 0)
    assert np.isclose(blurred.mean(), picture.mean(), atol=0.02)
    assert blurred.std() < 0.2 * picture.std()


@given(st.floats(0.3, 4.0))
@settings(max_examples=20, deadline=None)
def test_a_blur_keeps_flat_pictures_and_the_sum_of_a_dot(sigma_px: float) -> None:
    assert np.allclose(gaussian_blur(np.full((3, 8, 8), 0.7, np.float32), sigma_px), 0.7, atol=1e-6)
    dot = np.zeros((41, 41), np.float32)
    dot[20, 20] = 1
    blurred = gaussian_blur(dot, sigma_px)
    assert np.isclose(blurred.sum(), 1, atol=1e-5)
    assert np.allclose(blurred, blurred.T, atol=1e-7)
    assert np.array_equal(gaussian_blur(dot, 0.0), dot)
