from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from sdgraph_nodes.file_names import safe_stem
from sdgraph_nodes.save_image import SaveImage

from sdgraph.core.node import Delivery
from sdgraph.core.pngmeta import read_png_text
from sdgraph.errors import MediaError
from sdgraph.payloads.image import Image
from tests.nodes.pictures import noise


def deliver(folder: Path, image: Image, **values: Any) -> list[Path]:
    node = SaveImage(image=image, **values)
    metadata = {"sdgraph.workflow": json.dumps({"name": "grün" * 500})}
    return node.deliver({"image": image}, Delivery(folder, metadata, dict(node)))


def test_a_png_holds_the_exact_picture_and_the_metadata(tmp_path: Path) -> None:
    image = noise(9, 5)
    (path,) = deliver(tmp_path, image, filename="portrait")
    assert path == tmp_path / "portrait.png"
    with Pillow.open(path) as picture:
        assert np.array_equal(np.asarray(picture), image.to_uint8()[0])
    assert json.loads(read_png_text(path.read_bytes())["sdgraph.workflow"]) == {"name": "grün" * 500}


def test_a_batch_gets_numbered_names(tmp_path: Path) -> None:
    paths = deliver(tmp_path, noise(4, 4, batch=3), filename="many.png")
    assert [path.name for path in paths] == ["many_0001.png", "many_0002.png", "many_0003.png"]


@pytest.mark.parametrize(("kind", "ending"), [("jpeg", ".jpg"), ("webp", ".webp")])
def test_other_formats_are_written_too(tmp_path: Path, kind: str, ending: str) -> None:
    (path,) = deliver(tmp_path, noise(8, 8), format=kind, quality=100)
    assert path.suffix == ending
    with Pillow.open(path) as picture:
        assert picture.format == kind.upper()


def test_saving_twice_gives_the_same_bytes_and_leaves_nothing_else(tmp_path: Path) -> None:
    first = deliver(tmp_path, noise(8, 8))[0].read_bytes()
    assert deliver(tmp_path, noise(8, 8))[0].read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["image.png"]


def test_the_folder_is_made_when_it_is_missing(tmp_path: Path) -> None:
    assert deliver(tmp_path / "a" / "b", noise(4, 4))[0].is_file()


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MediaError) as caught:
        deliver(tmp_path / "file", noise(4, 4))
    assert caught.value.code == "output-unwritable"


def test_a_full_disk_is_named_and_leaves_no_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A disk that is really full needs a file system of its own, so the system call's answer is put in here.
    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MediaError) as caught:
        deliver(tmp_path, noise(4, 4))
    assert caught.value.code == "disk-full"
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=400))
def test_any_text_makes_a_file_name_inside_the_folder(text: str) -> None:
    stem = safe_stem(text, (".png",))
    path = Path("folder") / f"{stem}.png"
    assert path.parent == Path("folder")
    assert path.resolve().parent == Path("folder").resolve()
    assert len(path.name.encode()) < 200
    assert not set(stem) & set('<>:"/\\|?*\0')


def test_names_that_are_special_somewhere_are_changed() -> None:
    assert safe_stem("../../etc/passwd") == "_.._etc_passwd"
    assert safe_stem("CON") == "_CON"
    assert safe_stem("  ..") == "image"
    assert safe_stem("portrait.PNG", (".png",)) == "portrait"
