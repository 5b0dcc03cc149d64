from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import Checkpoint, read_checkpoint, read_controlnet
from sdgraph.models.load import load_model
from sdgraph.models.towers import TextModel
from sdgraph.payloads.handles import ModelHandle
from tests.models.test_fingerprints import edit_json


@pytest.fixture
def copy(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def all_handles(source: str) -> list[ModelHandle]:
    checkpoint = read_checkpoint(source)
    assert checkpoint.denoiser.preview is not None
    net = read_controlnet(f"{source}/controlnet_canny")
    return [checkpoint.denoiser, checkpoint.text_encoder, checkpoint.vae, checkpoint.denoiser.preview, net]


def module_of(model: nn.Module | TextModel) -> nn.Module:
    return model.encoder if isinstance(model, TextModel) else model


def damage_of(handle: ModelHandle) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(handle)
    assert caught.value.code == "model-damaged"
    return caught.value.problem.message


def test_every_component_loads_ready_to_run_and_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    for handle in all_handles("synthetic:sd15-tiny"):
        module = module_of(load_model(handle))
        assert not module.training
        assert not any(parameter.requires_grad for parameter in module.parameters())
        assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert capfd.readouterr() == ("", "")


def test_weights_are_what_the_file_says(tiny: Checkpoint, tiny_folder: Path) -> None:
    stored = load_file(tiny_folder / "unet" / "diffusion_pytorch_model.safetensors")
    loaded = module_of(load_model(tiny.denoiser)).state_dict()
    assert stored.keys() == loaded.keys()
    assert all(torch.equal(stored[name], loaded[name]) for name in stored)


def test_half_precision_files_compute_in_full_precision(copy: Path) -> None:
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    halves = {name: tensor.half() for name, tensor in load_file(weights).items()}
    save_file(halves, weights)
    loaded = module_of(load_model(read_checkpoint(str(copy)).denoiser)).state_dict()
    assert all(torch.equal(loaded[name], halves[name].float()) for name in halves)


def test_the_dtype_is_the_handle_s(tiny: Checkpoint) -> None:
    for handle in (tiny.denoiser, tiny.text_encoder):
        module = module_of(load_model(replace(handle, dtype="bfloat16")))
        assert next(module.parameters()).dtype == torch.bfloat16


def test_a_lost_weight_is_damage_not_noise(copy: Path) -> None:
    for part, name in (
        ("unet", "diffusion_pytorch_model.safetensors"),
        ("text_encoder", "model.safetensors"),
        ("vae", "diffusion_pytorch_model.safetensors"),
    ):
        weights = load_file(copy / part / name)
        lost = min(weights)
        del weights[lost]
        save_file(weights, copy / part / name, metadata={"format": "pt"})
    checkpoint = read_checkpoint(str(copy))
    for handle in (checkpoint.denoiser, checkpoint.text_encoder, checkpoint.vae):
        assert "1 of its weights are missing" in damage_of(handle)


def test_weights_of_another_shape_are_damage(copy: Path) -> None:
    edit_json(copy / "unet" / "config.json", cross_attention_dim=64)
    assert "unet is damaged" in damage_of(read_checkpoint(str(copy)).denoiser)


def test_a_file_cut_off_after_planning_is_damage(copy: Path) -> None:
    handle = read_checkpoint(str(copy)).denoiser
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    assert "should have" in damage_of(handle)


def test_a_tokenizer_that_cannot_be_read_is_damage(copy: Path) -> None:
    (copy / "tokenizer" / "vocab.json").write_text("{")
    (copy / "tokenizer" / "tokenizer.json").write_text("{")
    assert "tokenizer is damaged" in damage_of(read_checkpoint(str(copy)).text_encoder)


def test_a_model_that_went_away_is_missing(copy: Path) -> None:
    handle = read_checkpoint(str(copy)).vae
    shutil.rmtree(copy)
    with pytest.raises(ModelError) as caught:
        load_model(handle)
    assert caught.value.code == "model-missing"


def test_a_model_with_half_precision_files_only_loads(copy: Path) -> None:
    for path in list(copy.glob("*/*.safetensors")):
        path.rename(path.with_name(path.name.replace(".safetensors", ".fp16.safetensors")))
    for found, expected in zip(all_handles(str(copy)), all_handles("synthetic:sd15-tiny"), strict=True):
        weights, same = module_of(load_model(found)).state_dict(), module_of(load_model(expected)).state_dict()
        assert all(torch.equal(weights[name], same[name]) for name in same)
