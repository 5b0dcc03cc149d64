"""What payloads look like in an editor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sdgraph.core.porttype import Shown
from sdgraph.payloads.conditioning import CONDITIONING, Conditioning, ConditioningEntry
from sdgraph.payloads.image import IMAGE, Image
from sdgraph.payloads.latents import LATENTS, Latents, LatentSpace
from sdgraph.payloads.mask import MASK, Mask
from sdgraph.payloads.region import REGION, Region
from sdgraph.payloads.shown import false_colours, first_pictures
from sdgraph.payloads.types import PORT_TYPES

SPACE = LatentSpace("sd1", 4, 8, 0.18215)
BATCHES = arrays(np.float32, array_shapes(min_dims=4, max_dims=4, max_side=6), elements=st.floats(width=32))


def shown(kind: Any, value: Any, count: int = 4) -> Shown:
    found = kind.show(value, count)
    assert isinstance(found, Shown)
    return found


def test_every_payload_of_the_built_in_pack_can_be_shown() -> None:
    assert [kind.name for kind in PORT_TYPES if kind.show is None] == []


def test_the_first_pictures_of_a_batch_are_shown_as_they_are() -> None:
    pixels = np.zeros((3, 3, 2, 5), np.float32)
    pixels[1, 0], pixels[1, 1] = 1.5, -1.0
    found = shown(IMAGE, Image(pixels), 2)
    assert (found.text, found.approximate) == ("3 pictures, 5 x 2 px", False)
    assert [picture.shape for picture in found.pictures] == [(2, 5, 3), (2, 5, 3)]
    assert (found.pictures[1] == (255, 0, 0)).all()


def test_a_mask_is_grey() -> None:
    found = shown(MASK, Mask(np.full((1, 1, 4, 4), 0.5, np.float32)))
    assert found.text == "1 mask, 4 x 4 px"
    [picture] = found.pictures
    assert (picture.shape, picture.dtype, int(picture[0, 0])) == ((4, 4), np.uint8, 128)


def test_a_huge_picture_is_thinned_out_before_it_is_converted() -> None:
    huge = np.broadcast_to(np.float32(0.5), (1, 3, 9000, 5000))
    [picture] = first_pictures(huge, 1)
    assert 1024 <= max(picture.shape) < 2048


def test_latents_are_shown_in_false_colours_and_empty_ones_not_at_all() -> None:
    samples = torch.randn(2, 4, 8, 16, generator=torch.Generator().manual_seed(0))
    found = shown(LATENTS, Latents(samples, SPACE), 1)
    assert (found.text, found.approximate) == ("2 pictures, 128 x 64 px as 4 x 8 x 16 (sd1)", True)
    assert [picture.shape for picture in found.pictures] == [(8, 16, 3)]
    empty = shown(LATENTS, Latents(samples, SPACE, empty=True))
    assert (empty.text[:5], empty.pictures) == ("empty", ())


def test_what_varies_most_is_red() -> None:
    ramp, ripple = np.meshgrid(np.linspace(0, 9, 10), np.tile([0.0, 1.0], 5), indexing="xy")
    batch = np.stack([np.zeros((10, 10)), ripple, ramp, np.zeros((10, 10))])[None].astype(np.float32)
    [picture] = false_colours(batch, 1)
    red, green = picture[:, :, 0].astype(int), picture[:, :, 1].astype(int)
    assert (np.diff(red, axis=1) > 0).all()
    assert (np.diff(red, axis=0) == 0).all()
    assert (np.abs(np.diff(green, axis=0)) > 200).all()


@given(BATCHES, st.integers(1, 5))
def test_any_latents_have_colours(batch: Any, count: int) -> None:
    pictures = false_colours(batch, count)
    assert len(pictures) == min(count, len(batch))
    assert {(picture.shape, str(picture.dtype)) for picture in pictures} == {((*batch.shape[2:], 3), "uint8")}


def test_prompts_and_regions_are_told_in_words() -> None:
    mask = Mask(np.ones((1, 1, 4, 4), np.float32))
    entries = (ConditioningEntry(torch.zeros(1, 77, 32), mask=mask), ConditioningEntry(torch.zeros(1, 154, 32)))
    found = shown(CONDITIONING, Conditioning(entries))
    assert (found.text, len(found.pictures)) == ("2 prompts: 77 x 32, 154 x 32", 1)
    assert shown(REGION, Region(1, 2, 30, 40)).text == "30 x 40 px at 1, 2"


@pytest.mark.parametrize("count", [0, 1])
def test_no_more_pictures_are_made_than_were_asked_for(count: int) -> None:
    assert len(shown(IMAGE, Image(np.zeros((2, 3, 4, 4), np.float32)), count).pictures) == count
