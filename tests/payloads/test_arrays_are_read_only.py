from __future__ import annotations

import numpy as np
import pytest

from sdgraph.errors import MediaError
from sdgraph.payloads.image import IMAGE, Image
from sdgraph.payloads.mask import MASK, Mask


def picture(batch: int = 1) -> Image:
    return Image(np.random.default_rng(0).random((batch, 3, 4, 5), dtype=np.float32))


def test_a_node_cannot_write_into_a_picture() -> None:
    image = picture()
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0, 0, 0] = 1
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        image.pixels.setflags(write=True)


def test_a_decoded_picture_cannot_be_written_either() -> None:
    assert IMAGE.codec is not None
    image = IMAGE.codec.decode(IMAGE.codec.encode(picture()))
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        image.pixels.setflags(write=True)


def test_pictures_are_stored_bit_for_bit() -> None:
    assert IMAGE.codec is not None
    image = picture(2)
    again = IMAGE.codec.decode(IMAGE.codec.encode(image))
    assert again.pixels.tobytes() == image.pixels.tobytes()
    assert again.pixels.shape == image.pixels.shape


def test_masks_are_stored_bit_for_bit() -> None:
    assert MASK.codec is not None
    mask = Mask(np.random.default_rng(1).random((2, 1, 3, 4), dtype=np.float32))
    assert MASK.codec.decode(MASK.codec.encode(mask)).values.tobytes() == mask.values.tobytes()
    assert (mask.batch, mask.height_px, mask.width_px) == (2, 3, 4)


def test_eight_bit_pictures_survive_the_way_there_and_back() -> None:
    every_value = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    image = Image.from_uint8(every_value)
    assert (image.batch, image.height_px, image.width_px) == (1, 16, 16)
    assert np.array_equal(image.to_uint8()[0], every_value)


def test_values_outside_the_range_are_clipped_in_eight_bits() -> None:
    image = Image(np.array([-1.0, 0.5, 2.0], dtype=np.float32).reshape(1, 3, 1, 1))
    assert image.to_uint8().ravel().tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((3, 4, 5), np.float32),
        np.zeros((1, 4, 4, 5), np.float32),
        np.zeros((1, 3, 4, 5), np.float64),
        np.zeros((0, 3, 4, 5), np.float32),
        [[1.0]],
    ],
)
def test_other_shapes_and_numbers_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(MediaError) as caught:
        Image(pixels)
    assert caught.value.code == "image-shape"


def test_sizes_are_counted_in_bytes() -> None:
    assert IMAGE.size_bytes is not None
    assert IMAGE.size_bytes(picture(2)) == 2 * 3 * 4 * 5 * 4
