from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sdgraph_nodes.canny import Canny
from sdgraph_nodes.preprocess import Kind, Preprocess

from sdgraph.errors import ModelError
from sdgraph.models.preprocess.detectors import DETECTORS
from sdgraph.models.preprocess.plain import PLAIN
from sdgraph.payloads.image import Image
from tests.models.preprocess.fake_package import install
from tests.nodes.pictures import noise
from tests.toys import RecordingContext


def run(image: Image, kind: str, **values: Any) -> Image:
    node: Any = Preprocess(image=image, kind=kind, **values)  # type: ignore[arg-type]
    return node.run(RecordingContext()).image


def test_the_kinds_are_those_that_can_be_made() -> None:
    assert list(typing.get_args(Kind)) == [*PLAIN, *DETECTORS]


@pytest.mark.parametrize("kind", sorted(PLAIN))
def test_plain_kinds_work_on_batches(kind: str) -> None:
    image = Image(np.concatenate([noise(24, 16).pixels, noise(24, 16, seed=1).pixels]))
    result = run(image, kind)
    assert result.pixels.shape == image.pixels.shape
    if kind != "shuffle":
        assert np.array_equal(result.pixels[1:], run(Image(image.pixels[1:]), kind).pixels)


def test_canny_is_that_of_its_own_node() -> None:
    image = noise(24, 24)
    own: Any = Canny(image=image, low=100 / 255, high=200 / 255).run(RecordingContext())
    assert np.array_equal(run(image, "canny").pixels, own.image.pixels)


def test_each_shuffled_picture_has_a_seed_of_its_own() -> None:
    one = noise(24, 24)
    twice = run(Image(np.concatenate([one.pixels, one.pixels])), "shuffle", seed=3)
    assert not np.array_equal(twice.pixels[0], twice.pixels[1])
    assert np.array_equal(twice.pixels[1:], run(one, "shuffle", seed=4).pixels)


def test_what_a_detector_gives_has_the_size_of_the_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, ["HEDdetector"])
    (tmp_path / "ControlNetHED.pth").write_bytes(b"weights")
    image = noise(40, 24)
    result = run(image, "hed", source=str(tmp_path), detect_px=128)
    assert result.pixels.shape == image.pixels.shape
    node = Preprocess(image=image, kind="hed", source=str(tmp_path))
    assert node.fingerprint() is not None
    assert Preprocess(image=image, kind="canny").fingerprint() is None


def test_missing_weights_are_an_error_of_the_plan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, ["HEDdetector"])
    with pytest.raises(ModelError) as caught:
        Preprocess(image=noise(8, 8), kind="hed", source=str(tmp_path)).fingerprint()
    assert caught.value.code == "detector-weights-missing"
