from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdgraph_nodes.preview import Preview
from sdgraph_nodes.resize import Method, Resize

from sdgraph.payloads.image import Image
from tests.nodes.pictures import flat, noise
from tests.toys import RecordingContext

METHODS: tuple[Method, ...] = ("lanczos", "bicubic", "bilinear", "area", "nearest")


def resize(image: Image, **values: Any) -> Image:
    result: Any = Resize(image=image, **values).run(RecordingContext()).image
    return result


def size(image: Image) -> tuple[int, int]:
    return image.width_px, image.height_px


def test_one_side_keeps_the_proportions() -> None:
    picture = noise(40, 20)
    assert size(resize(picture, width_px=20)) == (20, 10)
    assert size(resize(picture, height_px=40)) == (80, 40)
    assert size(resize(picture, factor=1.5)) == (60, 30)


def test_resizing_to_the_same_size_changes_nothing() -> None:
    picture = noise(9, 7, batch=2)
    assert np.array_equal(resize(picture).pixels, picture.pixels)


@pytest.mark.parametrize("method", METHODS)
def test_a_flat_picture_stays_flat(method: Method) -> None:
    pixels = resize(flat(10, 12, 0.25, 0.75), width_px=23, height_px=7, method=method).pixels
    assert pixels.shape == (2, 3, 7, 23)
    assert np.allclose(pixels[0], 0.25, atol=1e-6)
    assert np.allclose(pixels[1], 0.75, atol=1e-6)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(METHODS))
def test_values_stay_between_black_and_white(width: int, height: int, method: Method) -> None:
    pixels = resize(noise(11, 5), width_px=width, height_px=height, method=method).pixels
    assert pixels.shape == (1, 3, height, width)
    assert pixels.min() >= 0
    assert pixels.max() <= 1


def test_crop_cuts_the_sides_and_pad_adds_white() -> None:
    picture = Image(np.concatenate([flat(20, 10, 0.0).pixels, flat(20, 10, 0.5).pixels], axis=3))
    cropped = resize(picture, width_px=10, height_px=10, fit="crop")
    assert np.isclose(cropped.pixels[0, 0, 5, 0], 0, atol=0.01)
    assert np.isclose(cropped.pixels[0, 0, 5, -1], 0.5, atol=0.01)
    padded = resize(picture, width_px=40, height_px=40, fit="pad")
    assert (padded.pixels[:, :, :15] == 1).all()
    assert (padded.pixels[:, :, 25:] == 1).all()
    assert np.allclose(padded.pixels[0, 0, 20, :15], 0)


def test_a_preview_fits_its_square_and_never_grows() -> None:
    shown: Any = Preview(image=noise(100, 50), edge_px=40).run(RecordingContext()).image
    assert size(shown) == (40, 20)
    small: Any = Preview(image=noise(10, 5), edge_px=40).run(RecordingContext()).image
    assert size(small) == (10, 5)
