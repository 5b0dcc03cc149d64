"""What models are here: told by their headers and configurations, within limits, and never from outside the folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sdgraph.models import inventory
from sdgraph.models.detect import _OTHER_KINDS, _PARTS  # pyright: ignore[reportPrivateUsage]
from sdgraph.models.inventory import Inventory
from sdgraph.models.kinds import _BY_WORDS, known_file  # pyright: ignore[reportPrivateUsage]
from sdgraph.payloads.places import model_path

LORA = {"down.lora_down.weight": (4, 8), "down.lora_up.weight": (8, 4)}
VAE = {"decoder.conv_in.weight": (4, 4, 3, 3), "decoder.mid.block_1.conv1.weight": (4, 4, 3, 3)}
SD1 = {"model.diffusion_model.input_blocks.0.0.weight": (4, 4, 3, 3)}
SDXL_INDEX = {"_class_name": "StableDiffusionXLPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}


def weights(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Path:
    """A safetensors file without any torch; its tensors are zeros."""
    entries: dict[str, Any] = {}
    at = 0
    for name, shape in shapes.items():
        count = 1
        for edge in shape:
            count *= edge
        entries[name] = {"dtype": "U8", "shape": list(shape), "data_offsets": [at, at + count]}
        at += count
    header = json.dumps(entries).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(at))
    return path


def config(folder: Path, name: str, **content: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder."""
    monkeypatch.setenv("SDGRAPH_MODEL_FOLDERS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def kinds(hub: Path | None = None) -> dict[str, str]:
    """The kind of each model that does not ship."""
    return {
        found.source: found.known.kind for found in Inventory(lambda: hub).list().models if found.origin != "builtin"
    }


def test_what_ships_is_listed_as_loaders_name_it() -> None:
    found = {model.source: (model.known.kind, model.known.family) for model in Inventory(lambda: None).list().models}
    assert found["builtin:shapes"] == ("checkpoint", "sd1")
    assert found["builtin:shapes/controlnet_canny"] == ("controlnet", None)
    assert found["builtin:shapes/lora_neon"] == ("lora", None)
    assert found["builtin:shapes/embedding_bee"] == ("embedding", None)
    assert found["builtin:shapes/vae_tiny"] == ("vae", None)
    assert "builtin:shapes/unet" not in found, "it is a part of the whole"


def test_files_are_known_by_their_tensors_and_folders_by_their_configuration(folder: Path) -> None:
    weights(folder / "loras" / "ink.safetensors", LORA)
    weights(folder / "any name.safetensors", SD1)
    weights(folder / "vae" / "pytorch_lora_weights.safetensors", LORA)
    weights(folder / "alone.safetensors", VAE)
    weights(folder / "4x.safetensors", {"conv_first.weight": (4, 3, 3, 3), "conv_first.bias": (4,), "a": (1, 1, 1)})
    weights(folder / "nobody knows.safetensors", {"a": (1, 2, 3), "b": (2,)})
    config(folder / "xl", "model_index.json", **SDXL_INDEX)
    config(folder / "xl" / "unet", "config.json", _class_name="UNet2DConditionModel")
    config(folder / "control", "config.json", _class_name="ControlNetModel")
    config(folder / "vision", "config.json", architectures=["CLIPVisionModelWithProjection"])
    config(folder / "notes", "config.json", anything=1)
    assert kinds() == {
        "loras/ink.safetensors": "lora",
        "any name.safetensors": "checkpoint",
        "vae": "lora",
        "alone.safetensors": "vae",
        "4x.safetensors": "upscaler",
        "nobody knows.safetensors": "other",
        "xl": "checkpoint",
        "control": "controlnet",
        "vision": "image_encoder",
    }


def test_what_is_listed_is_found_by_a_loader_that_is_confined(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights(folder / "loras" / "ink.safetensors", LORA)
    config(folder / "xl", "model_index.json", **SDXL_INDEX)
    monkeypatch.setenv("SDGRAPH_CONFINED", "1")
    listed = kinds()
    assert listed.keys() == {"loras/ink.safetensors", "xl"}
    assert all(model_path(source).exists() for source in listed)


def test_links_that_lead_out_are_not_listed_since_loaders_refuse_them(folder: Path, tmp_path: Path) -> None:
    weights(tmp_path / "elsewhere" / "secret.safetensors", LORA)
    (folder / "out").symlink_to(tmp_path / "elsewhere")
    (folder / "out.safetensors").symlink_to(tmp_path / "elsewhere" / "secret.safetensors")
    (folder / "loop").symlink_to(folder)
    weights(folder / "own.safetensors", LORA)
    (folder / "again.safetensors").symlink_to(folder / "own.safetensors")
    found = kinds()
    assert {"own.safetensors", "again.safetensors"} <= found.keys()
    assert not [source for source in found if source.startswith("out")]


def test_a_damaged_file_is_told_and_a_pickle_is_not_even_opened(folder: Path) -> None:
    (folder / "broken.safetensors").write_bytes(b"\xff" * 40)
    (folder / "model.ckpt").write_bytes(b"\x80\x04.")
    [found] = [model for model in Inventory(lambda: None).list().models if model.origin == "folder"]
    assert (found.source, found.known.kind) == ("broken.safetensors", "other")
    assert found.known.what.startswith("damaged: ")


def test_a_file_is_read_again_only_when_it_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def look(path: Path) -> Any:
        looked.append(path.name)
        return known_file(path)

    monkeypatch.setattr(inventory, "known_file", look)
    changing, staying = weights(folder / "a.safetensors", LORA), weights(folder / "b.safetensors", VAE)
    here = Inventory(lambda: None)
    here.list()
    looked.clear()
    here.list()
    assert looked == []
    weights(changing, VAE)
    os.utime(changing, ns=(1, 1))
    assert {model.source: model.known.kind for model in here.list().models}["a.safetensors"] == "vae"
    assert looked == [changing.name]
    staying.unlink()
    assert "b.safetensors" not in {model.source for model in here.list().models}


def test_more_than_the_limits_is_said_to_be_cut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        weights(folder / f"{number:02}.safetensors", LORA)
    assert Inventory(lambda: None).list().truncated is False
    monkeypatch.setattr(inventory, "MAX_MODELS", 8)
    assert Inventory(lambda: None).list().truncated is True
    assert len(Inventory(lambda: None).list().models) == 8
    monkeypatch.setattr(inventory, "MAX_MODELS", 100)
    monkeypatch.setattr(inventory, "MAX_ENTRIES", 20)
    assert Inventory(lambda: None).list().truncated is True


def test_a_very_deep_folder_has_an_end(folder: Path) -> None:
    weights(folder.joinpath(*"abcdefghij") / "deep.safetensors", LORA)
    weights(folder.joinpath(*"abc") / "near.safetensors", LORA)
    assert list(kinds()) == ["a/b/c/near.safetensors"]


def test_models_of_the_hubs_cache_have_the_hubs_names(folder: Path, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    place = hub / "models--org--name"
    blob = weights(place / "blobs" / "1f", LORA)
    snapshot = place / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    (snapshot / "ink.safetensors").symlink_to(blob)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc123")
    (hub / "models--bad" / "refs").mkdir(parents=True)
    (hub / "models--bad" / "refs" / "main").write_text("../../..")
    assert kinds(hub) == {"hf:org/name/ink.safetensors": "lora"}


def test_of_two_folders_the_first_has_the_name(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDGRAPH_MODEL_FOLDERS", os.pathsep.join([str(folder), str(tmp_path / "second"), "/nowhere"]))
    weights(folder / "a.safetensors", LORA)
    weights(tmp_path / "second" / "a.safetensors", VAE)
    weights(tmp_path / "second" / "b.safetensors", VAE)
    assert kinds() == {"a.safetensors": "lora", "b.safetensors": "vae"}


def test_every_kind_that_is_known_by_words_is_one_that_files_are_told_to_be() -> None:
    assert set(_BY_WORDS) <= {name for _, name, _ in (*_OTHER_KINDS, *_PARTS)}


def test_listing_imports_nothing_heavy() -> None:
    program = (
        "import sys; from sdgraph.models.inventory import Inventory; Inventory().list(); "
        "print([name for name in ('torch', 'diffusers', 'transformers', 'safetensors') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
