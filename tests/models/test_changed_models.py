"""Weights that were replaced after their handle was made are never loaded for it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import read_checkpoint, read_controlnet, read_text_encoder
from sdgraph.models.image_encoder import read_image_encoder
from sdgraph.models.ip_adapter_file import read_ip_adapter
from sdgraph.models.load import load_model
from sdgraph.models.t2i_adapter import read_t2i_adapter
from sdgraph.models.unchanged import present_fingerprint, require_unchanged
from sdgraph.models.vae_source import read_vae
from sdgraph.payloads.handles import ModelHandle
from tests.models.original_layout import single_file

Read = Callable[[Path], ModelHandle]
FOLDER: dict[str, Read] = {
    "unet": lambda place: read_checkpoint(str(place)).denoiser,
    "vae": lambda place: read_checkpoint(str(place)).vae,
    "text_encoder": lambda place: read_checkpoint(str(place)).text_encoder,
    "controlnet_canny": lambda place: read_controlnet(str(place / "controlnet_canny")),
}
ALONE: dict[str, Read] = {
    "vae alone": lambda place: read_vae(str(place / "vae")),
    "text encoder alone": lambda place: read_text_encoder(str(place)),
}
FILE: dict[str, Read] = {
    "denoiser": lambda file: read_checkpoint(str(file)).denoiser,
    "text_encoder": lambda file: read_checkpoint(str(file)).text_encoder,
    "vae": lambda file: read_checkpoint(str(file)).vae,
    "vae alone": lambda file: read_vae(str(file)),
}


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.fixture
def copy(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


@pytest.mark.parametrize("part", FOLDER)
def test_a_part_of_a_folder_that_was_replaced_is_not_loaded(part: str, copy: Path) -> None:
    handle = FOLDER[part](copy)
    load_model(handle)
    (weights,) = (copy / part).glob("*.safetensors")
    spoil(weights)
    with pytest.raises(ModelError, match="model-changed"):
        load_model(handle)
    load_model(FOLDER[part](copy))


@pytest.mark.parametrize("part", FILE)
def test_a_part_of_a_file_that_was_replaced_is_not_loaded(part: str, tmp_path: Path) -> None:
    file = single_file("sd1", tmp_path / "model.safetensors")
    handle = FILE[part](file)
    require_unchanged(handle)
    spoil(file)
    with pytest.raises(ModelError, match="model-changed"):
        load_model(handle)


@pytest.mark.parametrize("what", ALONE)
def test_what_is_alone_in_a_folder_is_known_again(what: str, copy: Path) -> None:
    handle = ALONE[what](copy)
    assert present_fingerprint(handle) == handle.fingerprint


def test_an_adapter_that_was_replaced_is_not_loaded(copy: Path) -> None:
    found = {path.name for path in copy.iterdir()}
    adapters: dict[str, ModelHandle] = {}
    for name in sorted(found):
        if name.startswith("t2i"):
            adapters[name] = read_t2i_adapter(str(copy / name))
        elif name.startswith("image_encoder"):
            adapters[name] = read_image_encoder(str(copy / name))
        elif name.startswith("ip_adapter"):
            adapters[name] = read_ip_adapter(str(copy / name))
    assert len(adapters) >= 3, found
    for name, handle in adapters.items():
        require_unchanged(handle)
        weights = copy / name if (copy / name).is_file() else next((copy / name).glob("*.safetensors"))
        spoil(weights)
        with pytest.raises(ModelError, match="model-changed"):
            load_model(handle)


def test_another_configuration_is_another_model(copy: Path) -> None:
    handle = read_checkpoint(str(copy)).vae
    config = copy / "vae" / "config.json"
    config.write_text(config.read_text().replace("{", '{"_note": 1, ', 1))
    with pytest.raises(ModelError, match="model-changed"):
        load_model(handle)
