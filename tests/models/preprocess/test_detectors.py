"""Detectors through a fake package: which class, which weights, which options, and every way it can fail."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdgraph.errors import ModelError
from sdgraph.models.preprocess.detectors import DETECTORS, detect, detector_fingerprint, weights_folder
from tests.models.preprocess.fake_package import install

PICTURES = np.random.default_rng(0).integers(0, 256, size=(2, 16, 24, 3), dtype=np.uint8)


def weights(folder: Path, kind: str, content: bytes = b"weights") -> str:
    for name in DETECTORS[kind].files:
        (folder / name).write_bytes(content)
    return str(folder)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Any:
    return install(monkeypatch, sorted({spec.class_name for spec in DETECTORS.values()}))


@pytest.mark.parametrize("kind", sorted(DETECTORS))
def test_a_detector_sees_every_picture_with_its_options(kind: str, package: Any, tmp_path: Path) -> None:
    found = detect(kind, weights(tmp_path, kind), PICTURES, 256, "cpu")
    assert found.shape == (2, 8, 12, 3)
    assert np.array_equal(found[..., 1], 255 - PICTURES[:, ::2, ::2, 0])
    expected = {"detect_resolution": 256, "image_resolution": 256, "output_type": "np", **DETECTORS[kind].options}
    assert package.calls == [expected, expected]


def test_nothing_is_printed_and_no_warning_gets_out(
    package: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    detect("hed", weights(tmp_path, "hed"), PICTURES, 256, "cpu")
    assert capfd.readouterr() == ("", "")


def nothing(name: str) -> None:
    """No module of any name."""


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "controlnet_aux", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", nothing)
    with pytest.raises(ModelError) as caught:
        detect("hed", weights(tmp_path, "hed"), PICTURES, 256, "cpu")
    assert caught.value.code == "preprocess-missing"
    assert 'pip install "sdgraph[preprocess]"' in (caught.value.problem.hint or "")


def test_missing_weights_are_named_with_the_place_they_come_from(package: Any, tmp_path: Path) -> None:
    (tmp_path / "sk_model.pth").write_bytes(b"weights")
    with pytest.raises(ModelError, match=r"has no sk_model2\.pth") as caught:
        detect("lineart", str(tmp_path), PICTURES, 256, "cpu")
    assert caught.value.code == "detector-weights-missing"
    assert "sk_model.pth and sk_model2.pth from lllyasviel/Annotators" in (caught.value.problem.hint or "")


def test_weights_of_the_hub_that_cannot_be_had_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(*_: Any, **__: Any) -> str:
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    with pytest.raises(
        ModelError, match=r"body_pose_model\.pth of lllyasviel/Annotators is not in the hub's cache"
    ) as caught:
        weights_folder("openpose", "hf:lllyasviel/Annotators")
    assert caught.value.code == "detector-weights-missing"


def test_weights_of_the_hubs_cache_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, str, bool]] = []

    def cached(repository: str, name: str, *, revision: str | None, local_files_only: bool) -> str:
        asked.append((repository, name, local_files_only))
        return str(tmp_path / name)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", cached)
    assert weights_folder("lineart", "hf:org/name") == tmp_path
    assert asked == [("org/name", "sk_model.pth", True), ("org/name", "sk_model2.pth", True)]


def test_weights_that_cannot_be_read_are_an_error_of_the_detector(package: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="RuntimeError: Error\\(s\\) in loading") as caught:
        detect("hed", weights(tmp_path, "hed", b"broken"), PICTURES, 256, "cpu")
    assert caught.value.code == "detector-failed"


def test_the_fingerprint_follows_the_weights(package: Any, tmp_path: Path) -> None:
    first = detector_fingerprint("hed", weights(tmp_path, "hed"))
    (tmp_path / "other.pth").write_bytes(b"of another detector")
    assert detector_fingerprint("hed", str(tmp_path)) == first
    assert detector_fingerprint("hed", weights(tmp_path, "hed", b"other weights")) != first
