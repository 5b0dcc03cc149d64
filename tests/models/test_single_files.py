"""A model in one file is the model of its folder, bit for bit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_flux_transformer_checkpoint_to_diffusers
from safetensors.torch import load_file, save_file

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.flux_keys import flux_to_diffusers
from sdgraph.models.load import load_model
from sdgraph.models.source import resolve
from sdgraph.models.towers import TextModel
from sdgraph.payloads.handles import Dtype, ModelHandle
from tests.models.family_references import TINY
from tests.models.original_layout import original_weights, single_file
from tests.models.test_fingerprints import change_byte, edit_json


def states(handle: ModelHandle) -> dict[str, torch.Tensor]:
    """All parameters and buffers of the handle's model."""
    model = load_model(handle)
    modules = model.modules if isinstance(model, TextModel) else (model,)
    return {
        f"{number}.{name}": tensor
        for number, module in enumerate(modules)  # pyright: ignore[reportArgumentType]
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
    }


@pytest.mark.parametrize("name", TINY)
def test_a_single_file_has_the_weights_of_its_folder(name: str, tmp_path: Path) -> None:
    file = single_file(name, tmp_path / "model.safetensors")
    one, many = read_checkpoint(str(file)), read_checkpoint(TINY[name])
    assert one.denoiser.family == many.denoiser.family
    for found, expected in (
        (one.denoiser, many.denoiser),
        (one.text_encoder, many.text_encoder),
        (one.vae, many.vae),
    ):
        weights, same = states(found), states(expected)
        assert weights.keys() == same.keys()
        assert all(torch.equal(weights[key], same[key]) for key in same)
    assert (one.denoiser.space, one.denoiser.conditioning_width, one.denoiser.pooled_width) == (
        many.denoiser.space,
        many.denoiser.conditioning_width,
        many.denoiser.pooled_width,
    )
    assert one.text_encoder.towers == many.text_encoder.towers


def code_of(file: Path, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        read_checkpoint(str(file), **options)
    return caught.value.code


def missing_of(handle: ModelHandle) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(handle)
    assert caught.value.code == "model-part-missing"
    return caught.value.problem.message


def test_another_file_is_another_model_and_the_same_file_the_same(tmp_path: Path) -> None:
    file = single_file("sd1", tmp_path / "model.safetensors")
    before = read_checkpoint(str(file))
    copy = Path(shutil.copy(file, tmp_path / "copy.safetensors"))
    shutil.copytree(file.with_suffix(""), copy.with_suffix(""))
    assert read_checkpoint(str(copy)).fingerprint == before.fingerprint
    change_byte(copy, -1)
    assert read_checkpoint(str(copy)).fingerprint != before.fingerprint
    edit_json(file.with_suffix("") / "scheduler" / "scheduler_config.json", beta_end=0.02)
    assert read_checkpoint(str(file)).fingerprint != before.fingerprint


def test_a_model_of_its_own_size_must_be_described(tmp_path: Path) -> None:
    file = single_file("sdxl", tmp_path / "model.safetensors")
    described = file.with_suffix("").rename(tmp_path / "described")
    assert code_of(file) == "model-kind-unsupported"
    assert read_checkpoint(str(file), config=str(described)).denoiser.conditioning_width == 80


def test_a_denoiser_alone_says_which_part_is_missing_when_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "flux.safetensors"
    file = single_file("flux", path, leave_out=("vae", "text_encoder", "text_encoder_2"))
    found = read_checkpoint(str(file))
    assert load_model(found.denoiser)
    assert "no vae" in missing_of(found.vae)
    assert "no text_encoder and no text_encoder_2" in missing_of(found.text_encoder)


def test_a_stable_diffusion_3_file_without_t5_has_two_towers(tmp_path: Path) -> None:
    file = single_file("sd3", tmp_path / "model.safetensors", leave_out=("text_encoder_3",))
    found = read_checkpoint(str(file)).text_encoder
    assert [tower.component for tower in found.towers] == ["text_encoder", "text_encoder_2"]
    assert found.conditioning_width == read_checkpoint(TINY["sd3"]).text_encoder.conditioning_width
    assert load_model(found)


def test_t5_needs_its_tokenizer_beside_the_file_and_clip_does_not(tmp_path: Path) -> None:
    file = single_file("flux", tmp_path / "flux.safetensors")
    for name in ("tokenizer", "tokenizer_2"):
        (file.with_suffix("") / name).rename(tmp_path / f"away_{name}")
    assert "`tokenizer_2` (T5's tokenizer)" in missing_of(read_checkpoint(str(file)).text_encoder)
    (tmp_path / "away_tokenizer_2").rename(tmp_path / "tokenizer_2")
    model = load_model(read_checkpoint(str(file)).text_encoder)
    assert isinstance(model, TextModel)
    first, second = model.towers
    assert len(first.tokenizer) == 49408  # CLIP's own vocabulary, which ships
    assert len(second.tokenizer) < 1000


def test_a_lost_weight_is_damage(tmp_path: Path) -> None:
    for part, name in (
        ("unet", "model.diffusion_model.out.2.bias"),
        ("vae", "first_stage_model.quant_conv.bias"),
        ("text_encoder", "cond_stage_model.transformer.text_model.final_layer_norm.bias"),
    ):
        file = single_file("sd1", tmp_path / f"{part}.safetensors")
        weights = load_file(file)
        del weights[name]
        save_file(weights, file)
        found = read_checkpoint(str(file))
        handle = {"unet": found.denoiser, "vae": found.vae, "text_encoder": found.text_encoder}[part]
        with pytest.raises(ModelError, match=rf"1 weights of its {part} are missing") as caught:
            load_model(handle)
        assert caught.value.code == "model-damaged"


def test_more_blocks_than_the_configuration_knows_are_not_dropped_in_silence(tmp_path: Path) -> None:
    file = single_file("flux", tmp_path / "flux.safetensors")
    edit_json(file.with_suffix("") / "transformer" / "config.json", num_single_layers=1)
    with pytest.raises(ModelError, match="weights of its transformer are unknown"):
        load_model(read_checkpoint(str(file)).denoiser)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_dtype_is_the_handle_s(tmp_path: Path, dtype: Dtype) -> None:
    file = single_file("sdxl", tmp_path / "model.safetensors")
    found = read_checkpoint(str(file), dtype)
    for handle in (found.denoiser, found.text_encoder):
        floats = {tensor.dtype for tensor in states(handle).values() if tensor.is_floating_point()}
        assert floats == {getattr(torch, dtype)}
    assert found.vae.dtype == "float32"


def test_what_overflows_in_float16_stays_float32_as_in_a_folder(tmp_path: Path) -> None:
    file = single_file("flux", tmp_path / "model.safetensors")
    one, many = (read_checkpoint(source, "float16").text_encoder for source in (str(file), TINY["flux"]))
    weights, same = states(one), states(many)
    assert {name: tensor.dtype for name, tensor in weights.items()} == {name: same[name].dtype for name in same}
    assert {tensor.dtype for tensor in same.values()} >= {torch.float16, torch.float32}


@pytest.mark.parametrize(
    ("metadata", "tensors", "expected"),
    [
        ({}, (), {"prediction_type": "epsilon"}),
        ({"modelspec.prediction_type": "v"}, (), {"prediction_type": "v_prediction"}),
        ({}, ("v_pred",), {"prediction_type": "v_prediction"}),
        ({}, ("v_pred", "ztsnr"), {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}),
    ],
)
def test_what_a_file_says_about_its_training_counts(
    tmp_path: Path, metadata: dict[str, str], tensors: tuple[str, ...], expected: dict[str, object]
) -> None:
    file = single_file("sdxl", tmp_path / "model.safetensors")
    save_file(load_file(file) | {name: torch.zeros(0) for name in tensors}, file, metadata=metadata)
    scheduler = read_checkpoint(str(file)).denoiser.scheduler
    assert expected.items() <= scheduler.items()
    told = read_checkpoint(str(file), prediction="epsilon").denoiser.scheduler
    assert told["prediction_type"] == "epsilon"


def test_a_file_for_inpainting_is_known_by_its_inputs(tmp_path: Path) -> None:
    file = single_file("sd1", tmp_path / "model.safetensors")
    weights = load_file(file)
    weights["model.diffusion_model.input_blocks.0.0.weight"] = torch.zeros(16, 9, 3, 3)
    save_file(weights, file)
    found = read_checkpoint(str(file)).denoiser
    assert found.inpainting
    assert load_model(found)


def test_a_flux_file_is_converted_as_diffusers_converts_it() -> None:
    # diffusers' converter knows one width only, 3072: so wide is what it splits, and the rest may be narrow.
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: torch.randn((21504, *tensor.shape[1:]) if ".linear1." in name else tensor.shape, generator=generator)
        for name, tensor in original_weights("flux", ("vae", "text_encoder", "text_encoder_2")).items()
    }
    expected: Any = convert_flux_transformer_checkpoint_to_diffusers(dict(weights))
    found = flux_to_diffusers({name.removeprefix("model.diffusion_model."): t for name, t in weights.items()})
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.fixture
def pickled(tmp_path: Path) -> Path:
    single_file("sd1", tmp_path / "model.safetensors")
    torch.save({"state_dict": original_weights("sd1"), "epoch": 3}, tmp_path / "model.ckpt")
    return tmp_path / "model.ckpt"


def test_a_pickled_checkpoint_is_read_only_when_asked_for(pickled: Path) -> None:
    assert code_of(pickled) == "model-pickle"
    one, many = read_checkpoint(str(pickled), allow_pickle=True), read_checkpoint(TINY["sd1"])
    for found, expected in ((one.denoiser, many.denoiser), (one.text_encoder, many.text_encoder), (one.vae, many.vae)):
        weights, same = states(found), states(expected)
        assert all(torch.equal(weights[key], same[key]) for key in same)


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_malicious_pickle_does_nothing_but_fail(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    file = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {"model.diffusion_model.input_blocks.0.0.weight": _Trap(sprung)}}, file)
    assert code_of(file) == "model-pickle"
    assert code_of(file, allow_pickle=True) == "model-unsafe"
    assert not sprung.exists()


def test_a_folder_with_pickled_weights_is_read_only_when_asked_for(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(resolve(TINY["sd1"]), tmp_path / "copy"))
    for file in list(copy.glob("*/*.safetensors")):
        name = "pytorch_model.bin" if file.parent.name == "text_encoder" else "diffusion_pytorch_model.bin"
        torch.save(load_file(file), file.with_name(name))
        file.unlink()
    assert code_of(copy) == "model-pickle"
    found, same = read_checkpoint(str(copy), allow_pickle=True), read_checkpoint(TINY["sd1"])
    for one, many in ((found.denoiser, same.denoiser), (found.text_encoder, same.text_encoder), (found.vae, same.vae)):
        weights, expected = states(one), states(many)
        assert all(torch.equal(weights[key], expected[key]) for key in expected)
