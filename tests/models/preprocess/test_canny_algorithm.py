from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdgraph.models.preprocess.canny import canny
from training.shapes.drawing import draw
from training.shapes.world import sample_scene

THRESHOLDS = [(100.0, 200.0), (40.5, 120.7), (0.0, 0.0), (300.0, 900.0)]


def channels_first(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1))


@given(st.integers(0, 2**32 - 1), st.sampled_from(THRESHOLDS), st.sampled_from([1, 3]))
@settings(max_examples=60, deadline=None)
def test_edges_of_noise_are_those_of_opencv(seed: int, thresholds: tuple[float, float], count: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(3, 40, size=2)
    picture = rng.integers(0, 256, size=(height, width, count), dtype=np.uint8)
    picture = cv2.GaussianBlur(picture, (3, 3), float(rng.uniform(0.1, 2))).reshape(height, width, count)
    assert np.array_equal(canny(channels_first(picture), *thresholds), cv2.Canny(picture, *thresholds) > 0)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("side_px", [64, 200])
def test_edges_of_shapes_are_those_of_opencv(seed: int, side_px: int) -> None:
    picture = draw(sample_scene(np.random.default_rng(seed)), side_px)
    assert np.array_equal(canny(channels_first(picture), 100, 200), cv2.Canny(picture, 100, 200) > 0)


def square() -> np.ndarray:
    picture = np.zeros((1, 12, 12), np.uint8)
    picture[:, 4:8, 4:8] = 255
    return picture


def test_the_edges_of_a_square() -> None:
    drawn = ["".join("#" if edge else "." for edge in row) for row in canny(square(), 100, 200)]
    assert drawn == [
        "............",
        "............",
        "............",
        ".....##.....",
        "....#..#....",
        "...#...#....",
        "...#...#....",
        "....####....",
        "............",
        "............",
        "............",
        "............",
    ]


@given(st.integers(-3, 3), st.integers(-3, 3))
def test_edges_move_with_the_picture(rows: int, columns: int) -> None:
    moved = np.roll(square(), (rows, columns), axis=(1, 2))
    assert np.array_equal(canny(moved, 100, 200), np.roll(canny(square(), 100, 200), (rows, columns), axis=(0, 1)))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_inverted_colours_have_the_same_edges(seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, size=(3, 16, 16), dtype=np.uint8)
    assert np.array_equal(canny(255 - picture, 100, 200), canny(picture, 100, 200))


def test_blur_removes_specks_and_keeps_shapes() -> None:
    picture = np.zeros((1, 64, 64), np.uint8)
    picture[:, 16:48, 16:48] = 255
    specks = picture.copy()
    specks[:, 8::16, 4:12:7] = 120
    assert canny(specks, 100, 200)[:, :12].any()
    assert not canny(specks, 100, 200, blur_px=1.5)[:, :12].any()
    assert canny(specks, 100, 200, blur_px=1.5)[20:44].any(axis=1).all()


def test_a_long_winding_edge_is_followed_to_its_end() -> None:
    """A weak line to and fro over the whole picture, strong at its beginning alone."""
    picture = np.zeros((1, 256, 256), np.uint8)
    for bar, top in enumerate(range(8, 244, 16)):
        picture[0, top : top + 4, 8:248] = 25
        picture[0, top : top + 20, 244 if bar % 2 else 8 : 248 if bar % 2 else 12] = 25
    assert not canny(picture, 60, 200).any()
    picture[0, 8:12, 240:248] = 120
    edges = canny(picture, 60, 200)
    assert edges[244:].any()
    assert np.array_equal(edges, cv2.Canny(picture[0], 60, 200) > 0)
