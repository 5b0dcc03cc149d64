"""Attacks on the file system by a workflow that came from elsewhere, and what one's own workflow may still name."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from sdgraph.errors import MediaError, ModelError
from sdgraph.models.patches.files import find_file
from sdgraph.models.preprocess.detectors import weights_folder
from sdgraph.models.source import locate
from sdgraph.payloads.places import UPLOAD, model_path, picture_path

DIGEST = "ab" * 32


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a folder of models, an upload, and a secret beside them."""
    (tmp_path / "models" / "sd15").mkdir(parents=True)
    (tmp_path / "models" / "style.safetensors").write_text("weights")
    (tmp_path / "secret.safetensors").write_text("secret")
    (tmp_path / "uploads" / "ab").mkdir(parents=True)
    (tmp_path / "uploads" / "ab" / f"{DIGEST}.png").write_text("picture")
    monkeypatch.setenv("SDGRAPH_HOME", str(tmp_path))
    monkeypatch.setenv("SDGRAPH_MODEL_FOLDERS", str(tmp_path / "models"))
    monkeypatch.setenv("SDGRAPH_CONFINED", "1")
    return tmp_path


def outside(home: Path) -> list[str]:
    (home / "models" / "link.safetensors").symlink_to(home / "secret.safetensors")
    (home / "models" / "links").symlink_to(home)
    return [
        str(home / "secret.safetensors"),
        "../secret.safetensors",
        "sd15/../../secret.safetensors",
        "link.safetensors",
        "links/secret.safetensors",
        "~/secret.safetensors",
        "nothing.safetensors",
        "/etc/passwd",
        ".",
        "",
        "\0",
    ]


def test_no_name_of_a_model_leads_out_of_the_folders(home: Path) -> None:
    for name in [found for found in outside(home) if found != "."]:
        for opens in (locate, find_file, partial(weights_folder, "hed")):
            with pytest.raises(ModelError) as refused:
                opens(name)
            assert refused.value.code in ("model-outside", "model-source", "detector-weights-missing"), name
            assert "secret.safetensors has" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["builtin:shapes/", "hf:org/name/", "synthetic:sd15-tiny/"])
@pytest.mark.parametrize("part", ["/etc/passwd", "../../../etc/passwd", "unet/../../../../etc", "a\0b"])
def test_no_part_of_a_model_leads_out_of_it(scheme: str, part: str) -> None:
    with pytest.raises(ModelError) as refused:
        locate(scheme + part)
    assert refused.value.code == "model-source"


def test_models_of_the_folders_are_found_by_name_and_by_path(home: Path) -> None:
    for name in ("style.safetensors", "./sd15/../style.safetensors", str(home / "models" / "style.safetensors")):
        assert locate(name).read_text() == "weights"
    assert locate("sd15").is_dir()
    assert locate("builtin:shapes").is_dir()


def test_one_model_folder_does_not_open_its_neighbour(home: Path) -> None:
    (home / "models-private").mkdir()
    (home / "models-private" / "x.safetensors").write_text("secret")
    with pytest.raises(ModelError):
        model_path(str(home / "models-private" / "x.safetensors"))


def test_nothing_is_downloaded_for_others_unless_allowed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(home / "hub"))
    with pytest.raises(ModelError) as refused:
        locate("hf:nobody/no-such-model")
    assert refused.value.code == "model-not-downloaded"
    with pytest.raises(ModelError) as refused:
        weights_folder("hed", "hf:nobody/no-such-model")
    assert "may not be downloaded" in str(refused.value)


@pytest.mark.parametrize(
    "file",
    [
        "/etc/passwd",
        "picture.png",
        "../uploads/ab/picture.png",
        "~/picture.png",
        f"{UPLOAD}../secret.safetensors",
        f"{UPLOAD}{DIGEST}",
        f"{UPLOAD}{DIGEST}.png/../../../secret.safetensors",
        f"{UPLOAD}/etc/passwd",
        f"{UPLOAD}{DIGEST.upper()}.png",
        f"{UPLOAD}{'cd' * 32}.png",
    ],
)
def test_a_picture_is_an_upload_or_nothing(home: Path, file: str) -> None:
    (home / "uploads" / "cd").mkdir()
    (home / "uploads" / "cd" / f"{'cd' * 32}.png").symlink_to(home / "secret.safetensors")
    with pytest.raises(MediaError) as refused:
        picture_path(file)
    assert refused.value.code in ("image-outside", "image-missing")


def test_a_field_that_is_empty_yet_asks_for_a_picture() -> None:
    with pytest.raises(MediaError, match="No picture is named") as refused:
        picture_path("")
    assert refused.value.code == "image-missing"


def test_an_upload_is_found_by_its_digest(home: Path) -> None:
    assert picture_path(f"{UPLOAD}{DIGEST}.png").read_text() == "picture"


def test_ones_own_workflow_may_name_any_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SDGRAPH_CONFINED")
    assert locate(str(home / "secret.safetensors")).read_text() == "secret"
    assert picture_path("a/picture.png") == Path("a/picture.png")
    assert locate("style.safetensors").read_text() == "weights"
