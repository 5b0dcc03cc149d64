from __future__ import annotations

import numpy as np
import pytest
from sdgraph_nodes.picture_reader import read_pixels

from tests.nodes.builtin_pictures import FOLDER, drawn_pictures


def test_every_shipped_picture_is_one_of_the_drawn_ones() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(drawn_pictures())


@pytest.mark.parametrize("name", drawn_pictures())
def test_a_shipped_picture_is_what_the_script_draws(name: str) -> None:
    pixels, _ = read_pixels(f"builtin:{name}")
    drawn = drawn_pictures()[name].astype(np.float32).transpose(2, 0, 1) / 255
    assert np.abs(pixels[0] - drawn).max() <= 1 / 255 + 1e-6
