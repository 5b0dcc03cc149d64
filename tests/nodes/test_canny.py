from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sdgraph_nodes.canny import Canny

from sdgraph.errors import MediaError
from sdgraph.payloads.image import Image
from tests.nodes.pictures import flat
from tests.toys import RecordingContext


def edges(image: Image, **values: Any) -> Image:
    result: Any = Canny(image=image, **values).run(RecordingContext()).image
    return result


def square(level: float) -> Image:
    pixels = np.zeros((1, 3, 24, 24), dtype=np.float32)
    pixels[:, :, 8:16, 8:16] = level
    return Image(pixels)


def test_a_flat_picture_has_no_edges() -> None:
    assert not edges(flat(16, 16, 0.5)).pixels.any()


def test_the_edges_of_a_square_are_white_lines_around_it() -> None:
    found = edges(square(1.0)).pixels
    assert set(np.unique(found)) == {0.0, 1.0}
    assert found.shape == (1, 3, 24, 24)
    assert not found[..., 10:14, 10:14].any()
    assert not found[..., :6, :].any()
    assert found[0, 0, 12].sum() == 2


def test_a_faint_edge_needs_a_lower_threshold() -> None:
    faint = square(0.1)
    assert not edges(faint).pixels.any()
    assert edges(faint, low=0.05, high=0.1).pixels.any()


def test_a_low_threshold_above_the_high_one_is_refused() -> None:
    with pytest.raises(MediaError) as caught:
        edges(square(1.0), low=0.9, high=0.5)
    assert caught.value.code == "canny-thresholds"
