from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdgraph_nodes.composite import Composite
from sdgraph_nodes.crop_stitch import CropToMask, Stitch, region_of
from sdgraph_nodes.outpaint import PadForOutpainting

from sdgraph.errors import MediaError
from sdgraph.payloads.mask import Mask
from sdgraph.payloads.region import REGION, Region
from tests.nodes.pictures import flat, noise
from tests.toys import RecordingContext


def run(node: Any) -> Any:
    return node.run(RecordingContext())


def mask(left: int, top: int, right: int, bottom: int, width_px: int = 96, height_px: int = 64) -> Mask:
    values = np.zeros((1, 1, height_px, width_px), dtype=np.float32)
    values[..., top:bottom, left:right] = 1
    return Mask(values)


def test_a_composite_has_the_pixels_of_one_picture_outside_and_of_the_other_inside_bit_for_bit() -> None:
    below, above, where = noise(96, 64, seed=1), noise(96, 64, seed=2), mask(8, 8, 32, 24)
    found = run(Composite(below=below, above=above, mask=where)).image.pixels
    inside = np.broadcast_to(where.values > 0, found.shape)
    assert np.array_equal(found[inside], above.pixels[inside])
    assert np.array_equal(found[~inside], below.pixels[~inside])


def test_a_soft_mask_mixes_the_pictures() -> None:
    half = Mask(np.full((1, 1, 4, 4), 0.5, dtype=np.float32))
    found = run(Composite(below=flat(4, 4, 0.2), above=flat(4, 4, 0.6), mask=half)).image.pixels
    assert found == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("ports", "code"),
    [
        ({"above": noise(8, 8)}, "image-sizes-differ"),
        ({"mask": mask(0, 0, 1, 1, 8, 8)}, "mask-size"),
        ({"above": noise(96, 64, batch=2), "below": noise(96, 64, batch=3)}, "batch-mismatch"),
    ],
)
def test_pictures_that_do_not_fit_are_not_laid_over_each_other(ports: dict[str, Any], code: str) -> None:
    given_ports: dict[str, Any] = {"below": noise(96, 64), "above": noise(96, 64), "mask": mask(0, 0, 8, 8), **ports}
    with pytest.raises(MediaError) as caught:
        run(Composite(**given_ports))
    assert caught.value.code == code


def test_the_part_is_the_mask_with_its_surroundings() -> None:
    out = run(CropToMask(image=noise(96, 64), mask=mask(40, 24, 56, 40), padding_px=8))
    assert out.region == Region(32, 16, 32, 32)
    assert out.image.pixels.shape == (1, 3, 32, 32)
    assert out.mask.values.sum() == 16 * 16


def test_a_part_enlarged_for_the_model_comes_back_at_its_own_size() -> None:
    whole, where = noise(96, 64), mask(40, 24, 56, 40)
    out = run(CropToMask(image=whole, mask=where, padding_px=8, width_px=64))
    assert (out.image.width_px, out.image.height_px, out.mask.width_px) == (64, 64, 64)
    again = run(Stitch(image=whole, part=flat(64, 64, 0.5), mask=where, region=out.region)).image.pixels
    assert again.shape == whole.pixels.shape
    assert again[0, :, 30, 48] == pytest.approx(0.5, abs=1e-6)


def test_an_empty_mask_takes_the_whole_picture_and_changes_nothing_of_it() -> None:
    whole, nothing = noise(96, 64), mask(0, 0, 0, 0)
    out = run(CropToMask(image=whole, mask=nothing))
    assert (out.region.width_px, out.region.height_px) == (96, 64)
    again = run(Stitch(image=whole, part=flat(96, 64, 0.5), mask=nothing, region=out.region)).image.pixels
    assert np.array_equal(again, whole.pixels)


boxes = st.tuples(st.integers(0, 90), st.integers(0, 60), st.integers(1, 40), st.integers(1, 40))


@given(boxes, st.integers(0, 40), st.sampled_from([1, 8, 16]), st.sampled_from([None, 1.0, 2.0]))
@settings(max_examples=60, deadline=None)
def test_a_region_covers_the_mask_lies_inside_and_has_sides_that_can_be_encoded(
    box: tuple[int, int, int, int], padding: int, multiple: int, ratio: float | None
) -> None:
    left, top, width, height = box
    where = mask(left, top, left + width, top + height)
    region = region_of(where, padding, multiple, ratio)
    assert region.left_px >= 0
    assert region.top_px >= 0
    assert region.left_px + region.width_px <= 96
    assert region.top_px + region.height_px <= 64
    assert region.width_px % multiple == 0
    assert region.height_px % multiple == 0
    assert where.values[..., region.rows, region.columns].sum() == where.values.sum()


@given(boxes, st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_what_was_cut_out_and_put_back_unchanged_is_the_picture(box: tuple[int, int, int, int], padding: int) -> None:
    left, top, width, height = box
    whole, where = noise(96, 64), mask(left, top, left + width, top + height)
    out = run(CropToMask(image=whole, mask=where, padding_px=padding))
    again = run(Stitch(image=whole, part=out.image, mask=where, region=out.region)).image.pixels
    assert np.array_equal(again, whole.pixels)


def test_a_part_of_another_picture_is_not_put_back() -> None:
    with pytest.raises(MediaError) as caught:
        run(Stitch(image=noise(32, 32), part=noise(8, 8), mask=mask(0, 0, 8, 8, 32, 32), region=Region(30, 0, 8, 8)))
    assert caught.value.code == "region-outside"


def test_a_region_is_stored_as_it_is() -> None:
    assert REGION.codec is not None
    region = Region(1, 2, 3, 4)
    assert REGION.codec.decode(REGION.codec.encode(region)) == region


def test_room_for_outpainting_is_masked_and_the_picture_keeps_its_pixels() -> None:
    image = noise(32, 24)
    out = run(PadForOutpainting(image=image, left_px=8, bottom_px=16))
    assert out.image.pixels.shape == (1, 3, 40, 40)
    assert np.array_equal(out.image.pixels[..., :24, 8:], image.pixels)
    assert out.mask.values[..., :24, 8:].max() == 0
    assert out.mask.values.sum() == 40 * 40 - 24 * 32


def test_the_mask_reaches_softly_into_the_picture_on_sides_with_room_only() -> None:
    out = run(PadForOutpainting(image=noise(32, 24), right_px=8, overlap_px=3))
    row = out.mask.values[0, 0, 12]
    assert row[28:36].tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1, 1, 1])
    assert row[:29].max() == 0


@pytest.mark.parametrize(("fill", "level"), [("grey", 0.5), ("edge", 0.2)])
def test_the_room_is_filled_as_asked(fill: Any, level: float) -> None:
    out = run(PadForOutpainting(image=flat(16, 16, 0.2), right_px=8, fill=fill))
    assert out.image.pixels[..., 16:] == pytest.approx(level)
    mirrored = run(PadForOutpainting(image=noise(16, 16), right_px=8, fill="mirror")).image.pixels
    assert np.array_equal(mirrored[..., 16:], mirrored[..., 15:7:-1])


def test_room_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(MediaError) as caught:
        run(PadForOutpainting(image=flat(16, 8000, 0.1), top_px=8192, bottom_px=8192))
    assert caught.value.code == "image-too-large"
