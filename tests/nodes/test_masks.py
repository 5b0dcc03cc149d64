from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdgraph_nodes.mask_edits import CombineMasks, FeatherMask, GrowMask, InvertMask, MaskFromImage
from sdgraph_nodes.mask_shapes import DrawMask, GradientMask

from sdgraph.errors import MediaError
from sdgraph.payloads.image import Image
from sdgraph.payloads.mask import Mask
from tests.nodes.pictures import flat, noise
from tests.toys import RecordingContext


def run(node: Any) -> Any:
    return node.run(RecordingContext()).mask.values


def mask(rows: slice, columns: slice, height_px: int = 32, width_px: int = 48) -> Mask:
    values = np.zeros((1, 1, height_px, width_px), dtype=np.float32)
    values[..., rows, columns] = 1
    return Mask(values)


BOX = mask(slice(8, 16), slice(16, 32))


def test_a_rectangle_covers_its_share_of_the_picture_exactly() -> None:
    values = run(DrawMask(width_px=10, height_px=4, left=0.25, right=0.5, top=0, bottom=1))
    assert values.shape == (1, 1, 4, 10)
    assert values[0, 0, 0].tolist() == [0, 0, 0.5, 1, 1, 0, 0, 0, 0, 0]
    assert float(values.mean()) == pytest.approx(0.25)


def test_an_ellipse_has_the_area_of_one_and_a_smooth_edge() -> None:
    values = run(DrawMask(width_px=64, height_px=32, shape="ellipse", left=0, right=1, top=0, bottom=1))
    assert float(values.mean()) == pytest.approx(np.pi / 4, abs=2e-3)
    assert ((values > 0) & (values < 1)).any()
    assert np.array_equal(values, values[..., ::-1, :])
    assert np.array_equal(values, values[..., ::-1])


def test_a_mask_takes_the_size_of_a_picture() -> None:
    assert run(DrawMask(image=noise(24, 16))).shape == (1, 1, 16, 24)
    assert run(GradientMask(image=noise(24, 16))).shape == (1, 1, 16, 24)


@pytest.mark.parametrize(
    ("sides", "port"), [({"left": 0.6, "right": 0.6}, "right"), ({"top": 0.9, "bottom": 0.1}, "bottom")]
)
def test_a_mask_without_an_inside_is_refused(sides: dict[str, Any], port: str) -> None:
    with pytest.raises(MediaError) as caught:
        run(DrawMask(**sides))
    assert (caught.value.code, caught.value.problem.port) == ("mask-sides", port)


@pytest.mark.parametrize(
    ("direction", "corner"), [("right", (0, 0)), ("left", (0, -1)), ("down", (0, 0)), ("up", (-1, 0))]
)
def test_a_gradient_begins_at_its_side_and_ends_at_the_other(direction: Any, corner: tuple[int, int]) -> None:
    values = run(GradientMask(width_px=8, height_px=8, direction=direction, start=0.25, end=1))[0, 0]
    assert values[corner] == 0.25
    assert values.min() == 0.25
    assert values.max() == 1


def test_a_gradient_may_rise_over_a_part_of_the_way_only() -> None:
    values = run(GradientMask(width_px=11, height_px=1, rise_from=0.4, rise_to=0.6))[0, 0, 0]
    assert values.tolist() == pytest.approx([0] * 5 + [0.5] + [1] * 5, abs=1e-6)
    with pytest.raises(MediaError) as caught:
        run(GradientMask(rise_from=0.5, rise_to=0.5))
    assert caught.value.code == "mask-sides"


def test_inverting_twice_is_the_mask_itself() -> None:
    values = run(InvertMask(mask=Mask(run(InvertMask(mask=BOX)))))
    assert np.array_equal(values, BOX.values)


def test_growing_moves_the_edge_by_as_many_pixels_in_every_direction() -> None:
    values = run(GrowMask(mask=BOX, grow_px=3))[0, 0]
    assert values[12, 13] == 1
    assert values[12, 12] == 0
    assert values[5, 24] == 1
    assert values[4, 24] == 0
    assert values[5, 13] == 0  # a corner is round


@given(st.integers(1, 6))
@settings(max_examples=6, deadline=None)
def test_shrinking_undoes_growing_of_a_rectangle(pixels: int) -> None:
    grown = Mask(run(GrowMask(mask=BOX, grow_px=pixels)))
    assert np.array_equal(run(GrowMask(mask=grown, grow_px=-pixels)), BOX.values)


def test_no_growth_and_no_feather_leave_a_mask_as_it_is() -> None:
    assert np.array_equal(run(GrowMask(mask=BOX, grow_px=0)), BOX.values)
    assert np.array_equal(run(FeatherMask(mask=BOX, feather_px=0)), BOX.values)


def test_a_feathered_edge_lies_where_the_edge_was_and_reaches_as_far_as_asked() -> None:
    values = run(FeatherMask(mask=mask(slice(None), slice(0, 24)), feather_px=6))[0, 0, 16]
    assert values[23] == pytest.approx(1 - values[24], abs=1e-6)
    assert values[23] > 0.5 > values[24]
    assert values[:18].min() >= 1 - 1e-6
    assert values[30:].max() == 0
    assert (np.diff(values) <= 1e-6).all()


@pytest.mark.parametrize(("operation", "expected"), [("union", 3), ("intersect", 1), ("subtract", 1)])
def test_masks_are_joined_point_by_point(operation: Any, expected: int) -> None:
    left, right = mask(slice(0, 1), slice(0, 2)), mask(slice(0, 1), slice(1, 3))
    assert run(CombineMasks(first=left, second=right, operation=operation)).sum() == expected


def test_masks_of_different_sizes_are_not_joined() -> None:
    with pytest.raises(MediaError) as caught:
        run(CombineMasks(first=BOX, second=mask(slice(0), slice(0), 8, 8)))
    assert caught.value.code == "mask-size"


def test_white_is_masked_and_black_is_not() -> None:
    assert run(MaskFromImage(image=flat(4, 4, 1.0))).min() == pytest.approx(1)
    assert run(MaskFromImage(image=flat(4, 4, 0.0))).max() == 0
    red = np.zeros((1, 3, 2, 2), dtype=np.float32)
    red[:, 0] = 1
    assert run(MaskFromImage(image=Image(red), channel="red")).min() == 1
    assert run(MaskFromImage(image=Image(red))).max() == pytest.approx(0.299)
