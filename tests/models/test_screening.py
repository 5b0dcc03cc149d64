"""A screen looks at the whole of every picture, as it will be seen, and lets out nothing that it can't judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdgraph.errors import ModelError
from sdgraph.models.pool import ModelPool
from sdgraph.models.safety_checker import flagged, read_safety_checker
from sdgraph.models.screening import SafetyScreen, squares
from sdgraph.payloads.image import Image
from sdgraph.payloads.mask import Mask
from tests.models.test_safety_checkers import pictures, splitting, with_threshold

__all__ = ["splitting"]  # a fixture


def screen(source: str, pool: ModelPool) -> SafetyScreen:
    return SafetyScreen(source, lambda: pool)


@given(st.integers(1, 300), st.integers(1, 300))
def test_squares_cover_a_picture_and_stay_inside(height: int, width: int) -> None:
    edge, seen = min(height, width), np.zeros((height, width), bool)
    corners = squares(height, width)
    for y, x in corners:
        assert 0 <= y <= height - edge
        assert 0 <= x <= width - edge
        seen[y : y + edge, x : x + edge] = True
    assert seen.all()
    assert len(corners) == -(-max(height, width) // edge)


def test_what_the_checker_lets_through_is_the_very_payload(pool: ModelPool, tmp_path: Path) -> None:
    image = pictures(2)
    seen = screen(with_threshold(tmp_path / "nothing", 2.0), pool).look(image)
    assert seen.value is image
    assert seen.hidden == ()


def test_pictures_and_masks_are_hidden_one_by_one(pool: ModelPool, splitting: str) -> None:
    image = Image.from_uint8(pictures().to_uint8())
    with pool.lease(read_safety_checker(splitting)) as model:
        flags = np.array(flagged(model, read_safety_checker(splitting), image))
    seen = screen(splitting, pool).look(image)
    assert seen.hidden == tuple(np.flatnonzero(flags))
    assert not seen.value.pixels[flags].any()
    assert np.array_equal(seen.value.pixels[~flags], image.pixels[~flags])


def test_a_picture_is_not_smuggled_out_as_a_mask(pool: ModelPool, tmp_path: Path) -> None:
    mask = Mask(np.ones((2, 1, 24, 24), np.float32))
    seen = screen(with_threshold(tmp_path / "everything", -2.0), pool).look(mask)
    assert seen.hidden == (0, 1)
    assert not seen.value.values.any()


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("place", range(3))
def test_what_lies_at_the_edge_of_a_long_picture_is_seen(
    pool: ModelPool, splitting: str, axis: int, place: int
) -> None:
    judge = screen(splitting, pool)
    image = Image.from_uint8(pictures().to_uint8())
    hidden = judge.look(image).hidden
    good = next(index for index in range(image.batch) if index not in hidden)
    parts = [image.pixels[good : good + 1]] * 3
    assert judge.look(Image(np.concatenate(parts, axis))).hidden == ()
    parts[place] = image.pixels[hidden[0] : hidden[0] + 1]
    assert judge.look(Image(np.concatenate(parts, axis))).hidden == (0,)


def test_values_that_are_no_colours_do_not_blind_the_checker(pool: ModelPool, tmp_path: Path) -> None:
    pixels = pictures(1).pixels.copy()
    pixels[0, 0, 0, 0] = np.inf
    assert screen(with_threshold(tmp_path / "everything", -2.0), pool).look(Image(pixels)).hidden == (0,)


def test_a_strip_that_would_be_looked_at_for_ever_is_hidden(pool: ModelPool, tmp_path: Path) -> None:
    judge = screen(with_threshold(tmp_path / "nothing", 2.0), pool)
    assert judge.look(Image(np.ones((1, 3, 8, 8 * 33), np.float32))).hidden == (0,)
    assert judge.look(Image(np.ones((1, 3, 8, 8 * 32), np.float32))).hidden == ()


def test_what_can_not_be_judged_does_not_leave(pool: ModelPool, tmp_path: Path) -> None:
    judge = screen(with_threshold(tmp_path / "nothing", 2.0), pool)
    with pytest.raises(ModelError, match="neither a picture nor a mask") as caught:
        judge.look(object())
    assert caught.value.code == "safety-check-failed"


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors"])
def test_a_checker_that_can_not_be_loaded_lets_nothing_out(pool: ModelPool, tmp_path: Path, damage: str) -> None:
    source = with_threshold(tmp_path / "damaged", 2.0)
    (tmp_path / "damaged" / damage).write_bytes(b"damaged")
    with pytest.raises(ModelError) as caught:
        screen(source, pool).look(pictures(1))
    assert caught.value.code == "safety-check-failed"


def test_a_checker_that_is_mended_works_again(pool: ModelPool, tmp_path: Path) -> None:
    judge = screen(str(tmp_path / "checker"), pool)
    with pytest.raises(ModelError):
        judge.look(pictures(1))
    with_threshold(tmp_path / "checker", 2.0)
    assert judge.look(pictures(1)).hidden == ()
