from __future__ import annotations

from pathlib import Path

import huggingface_hub.constants
import pytest

from sdgraph.errors import ModelError
from sdgraph.models.source import ModelSource, locate, parse_source, resolve


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("builtin:shapes", ModelSource("builtin", "shapes")),
        ("builtin:shapes/controlnet_canny", ModelSource("builtin", "shapes", "controlnet_canny")),
        ("synthetic:sd15-tiny", ModelSource("synthetic", "sd15-tiny")),
        ("hf:org/name", ModelSource("hf", "org/name")),
        ("hf:org/name@v1.0", ModelSource("hf", "org/name", "", "v1.0")),
        ("hf:org/name@main/vae/x", ModelSource("hf", "org/name", "vae/x", "main")),
        ("models/my model", ModelSource("path", "models/my model")),
        ("C:\\models\\sd", ModelSource("path", "C:\\models\\sd")),
    ],
)
def test_references_are_taken_apart(text: str, expected: ModelSource) -> None:
    assert parse_source(text) == expected


@pytest.mark.parametrize(
    "text", ["", "  ", "hf:name", "hf:", "builtin:", "builtin:../x", "builtin:shapes/../..", "hf:a/b/../c", "a\0b"]
)
def test_what_is_no_reference_says_so(text: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve(text)
    assert caught.value.code == "model-source"


def test_a_folder_is_its_own_place(tmp_path: Path) -> None:
    assert resolve(str(tmp_path)) == tmp_path


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere") as caught:
        resolve(str(tmp_path / "nowhere"))
    assert caught.value.code == "model-missing"


def test_a_single_file_is_refused_where_a_folder_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"x")
    assert locate(str(file)) == file
    with pytest.raises(ModelError, match="diffusers layout") as caught:
        resolve(str(file))
    assert caught.value.code == "model-kind-unsupported"


def test_an_unknown_builtin_is_missing() -> None:
    with pytest.raises(ModelError) as caught:
        resolve("builtin:nothing")
    assert caught.value.code == "model-missing"


def test_an_unknown_synthetic_model_names_the_known_ones() -> None:
    with pytest.raises(ModelError, match="synthetic:sd15-tiny") as caught:
        resolve("synthetic:nothing")
    assert caught.value.code == "model-kind-unsupported"


def test_a_part_of_a_synthetic_model_is_its_folder() -> None:
    assert (resolve("synthetic:sd15-tiny/controlnet_canny") / "config.json").is_file()


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_a_hub_model_offline_says_so(hub_cache: Path) -> None:
    with pytest.raises(ModelError, match="can't be reached") as caught:
        resolve("hf:org/name")
    assert caught.value.code == "model-offline"


def test_a_hub_model_in_the_cache_needs_no_network(hub_cache: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = hub_cache / "models--org--name"
    snapshot = repository / "snapshots" / commit
    (snapshot / "vae").mkdir(parents=True)
    (snapshot / "vae" / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    assert resolve("hf:org/name") == snapshot
    assert resolve(f"hf:org/name@{commit}/vae") == snapshot / "vae"


def test_one_file_of_a_hub_model_is_a_source_too(hub_cache: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = hub_cache / "models--org--name"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").touch()
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    assert locate("hf:org/name/model.safetensors") == snapshot / "model.safetensors"
    with pytest.raises(ModelError) as caught:
        locate("hf:org/name/other.safetensors")  # the repository is in the cache, this file of it is not
    assert caught.value.code == "model-missing"
