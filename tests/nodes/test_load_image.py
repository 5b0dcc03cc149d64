from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from sdgraph_nodes.load_image import LoadImage

from sdgraph.errors import MediaError
from tests.nodes.pictures import noise, rgba
from tests.toys import RecordingContext


def saved(path: Path, picture: NDArray[Any], **options: Any) -> str:
    Pillow.fromarray(picture).save(path, **options)
    return str(path)


def load(file: str):
    return LoadImage(file=file).run(RecordingContext()).__dict__


def code_of(file: str) -> str:
    with pytest.raises(MediaError) as caught:
        LoadImage(file=file).fingerprint()
    assert caught.value.problem.port == "file"
    assert caught.value.problem.hint
    return caught.value.code


def test_a_png_loads_exactly(tmp_path: Path) -> None:
    picture = noise(13, 7)
    loaded = load(saved(tmp_path / "a.png", picture.to_uint8()[0]))
    assert np.array_equal(loaded["image"].pixels, picture.pixels)
    assert (loaded["mask"].values == 1).all()


def test_a_sixteen_bit_picture_keeps_its_brightness(tmp_path: Path) -> None:
    loaded = load(saved(tmp_path / "deep.png", np.full((4, 5), 32768, dtype=np.uint16)))
    assert np.allclose(loaded["image"].pixels, 32768 / 65535)


def test_alpha_becomes_the_mask_and_transparent_parts_show_white(tmp_path: Path) -> None:
    picture = rgba(6, 4, (255, 0, 0, 255))
    picture[:, :3, 3] = 0
    loaded = load(saved(tmp_path / "a.png", picture))
    assert (loaded["mask"].values[..., :3] == 0).all()
    assert (loaded["mask"].values[..., 3:] == 1).all()
    assert (loaded["image"].pixels[0, :, 0, 0] == 1).all()
    assert loaded["image"].pixels[0, :, 0, 5].tolist() == [1, 0, 0]


def test_a_picture_is_turned_upright_as_its_exif_says(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    picture = noise(8, 4).to_uint8()[0]
    loaded = load(saved(tmp_path / "a.png", picture, exif=exif))
    assert np.array_equal(loaded["image"].to_uint8()[0], np.rot90(picture, -1))


def test_the_fingerprint_is_the_content_not_the_name(tmp_path: Path) -> None:
    first, copy = (saved(tmp_path / name, noise(4, 4).to_uint8()[0]) for name in ("a.png", "b.png"))
    other = saved(tmp_path / "c.png", noise(4, 4, seed=1).to_uint8()[0])
    digests = [LoadImage(file=file).fingerprint() for file in (first, copy, other)]
    assert digests[0] == digests[1] != digests[2]


def test_a_missing_file_is_found_before_the_run(tmp_path: Path) -> None:
    assert code_of(str(tmp_path / "none.png")) == "image-missing"
    assert code_of(str(tmp_path)) == "image-missing"
    assert code_of("") == "image-missing"


def test_what_is_no_picture_is_found_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello")
    assert code_of(str(tmp_path / "a.png")) == "image-not-a-picture"


@pytest.mark.parametrize("edge", [9_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_unpacks(tmp_path: Path, edge: int) -> None:
    header = struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    content += struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    (tmp_path / "bomb.png").write_bytes(content)
    assert code_of(str(tmp_path / "bomb.png")) == "image-too-large"


def test_a_truncated_picture_is_a_clear_error(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.png", noise(64, 64).to_uint8()[0])
    Path(file).write_bytes(Path(file).read_bytes()[:4000])
    with pytest.raises(MediaError) as caught:
        load(file)
    assert caught.value.code == "image-damaged"


def test_builtin_pictures_load_from_anywhere_and_stay_in_their_folder() -> None:
    assert load("builtin:star.png")["image"].batch == 1
    assert code_of("builtin:nothing.png") == "image-missing"
    assert code_of("builtin:../pack.py") == "image-missing"
