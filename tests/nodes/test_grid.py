from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sdgraph_nodes.grid import Grid, Join

from sdgraph.errors import MediaError
from sdgraph.payloads.image import Image
from tests.nodes.pictures import flat, noise
from tests.toys import RecordingContext


def grid(image: Image, **values: Any) -> Image:
    result: Any = Grid(image=image, **values).run(RecordingContext()).image
    return result


def test_pictures_lie_row_by_row_with_gaps_between_them() -> None:
    sheet = grid(flat(4, 3, 0.1, 0.2, 0.3), columns=2, gap_px=2, background=1.0).pixels
    assert sheet.shape == (1, 3, 8, 10)
    assert np.allclose(sheet[0, 0, 0], [0.1] * 4 + [1.0] * 2 + [0.2] * 4)
    assert np.allclose(sheet[0, 0, 5], [0.3] * 4 + [1.0] * 6)
    assert (sheet[0, 0, 3:5] == 1).all()


@pytest.mark.parametrize(("batch", "columns", "rows"), [(1, 1, 1), (4, 2, 2), (5, 3, 2), (9, 3, 3)])
def test_without_columns_the_sheet_is_about_square(batch: int, columns: int, rows: int) -> None:
    assert grid(noise(5, 5, batch=batch), gap_px=0).pixels.shape == (1, 3, rows * 5, columns * 5)


def test_one_picture_is_its_own_sheet() -> None:
    assert np.array_equal(grid(noise(6, 4)).pixels, noise(6, 4).pixels)


def test_joining_puts_the_first_pictures_first() -> None:
    joined: Any = Join(first=flat(2, 2, 0.1), second=flat(2, 2, 0.2, 0.3)).run(RecordingContext()).image
    assert np.allclose(joined.pixels[:, 0, 0, 0], [0.1, 0.2, 0.3])


def test_pictures_of_different_sizes_cannot_be_joined() -> None:
    with pytest.raises(MediaError, match="2 x 2 px and 3 x 2 px"):
        Join(first=flat(2, 2, 0.1), second=flat(3, 2, 0.1)).run(RecordingContext())
