from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import Checkpoint, read_checkpoint, read_controlnet
from sdgraph.models.synthetic import synthetic_folder
from sdgraph.payloads.latents import LatentSpace
from tests.models.test_fingerprints import edit_json


@pytest.fixture
def copy(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def code_of(source: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_checkpoint(str(source))
    return caught.value.code


def test_handles_know_what_graph_checks_ask(tiny: Checkpoint) -> None:
    assert tiny.denoiser.space == tiny.vae.space == LatentSpace("sd1", 4, 8, 0.18215)
    assert (tiny.denoiser.conditioning_width, tiny.text_encoder.conditioning_width) == (32, 32)
    assert (tiny.denoiser.sample_px, tiny.text_encoder.max_tokens) == (64, 77)
    assert tiny.denoiser.scheduler["beta_end"] == 0.012


def test_the_preview_autoencoder_comes_with_the_denoiser(tiny: Checkpoint, copy: Path) -> None:
    assert tiny.denoiser.preview is not None
    assert tiny.denoiser.preview.tiny
    assert tiny.denoiser.preview.space == tiny.vae.space
    shutil.rmtree(copy / "vae_tiny")
    without = read_checkpoint(str(copy))
    assert without.denoiser.preview is None
    assert without.fingerprint == tiny.fingerprint


def test_an_autoencoder_that_needs_full_precision_keeps_it(copy: Path) -> None:
    kept = read_checkpoint(str(copy), "bfloat16")
    assert (kept.denoiser.dtype, kept.text_encoder.dtype, kept.vae.dtype) == ("bfloat16", "bfloat16", "float32")
    edit_json(copy / "vae" / "config.json", force_upcast=False)
    assert read_checkpoint(str(copy), "bfloat16").vae.dtype == "bfloat16"


def test_a_controlnet_knows_its_size(copy: Path) -> None:
    handle = read_controlnet(str(copy / "controlnet_canny"))
    assert (handle.conditioning_width, handle.downscale, handle.component) == (32, 8, "")


def test_a_unet_is_no_controlnet() -> None:
    with pytest.raises(ModelError, match="UNet2DConditionModel, expected ControlNetModel") as caught:
        read_controlnet("synthetic:sd15-tiny/unet")
    assert caught.value.code == "model-kind-unsupported"


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    assert code_of(tmp_path) == "model-missing"


@pytest.mark.parametrize(
    "lost", ["unet/config.json", "unet/diffusion_pytorch_model.safetensors", "vae", "tokenizer", "scheduler"]
)
def test_a_model_with_a_part_lost_is_missing_something(copy: Path, lost: str) -> None:
    path = copy / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert code_of(copy) == "model-missing"


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00", "[" * 100_000])
def test_a_configuration_that_is_no_json_object_is_damaged(copy: Path, text: str) -> None:
    (copy / "unet" / "config.json").write_text(text)
    assert code_of(copy) == "model-damaged"


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("unet", {"cross_attention_dim": None}),
        ("unet", {"sample_size": "large"}),
        ("vae", {"block_out_channels": []}),
        ("vae", {"scaling_factor": "big"}),
        ("vae", {"latent_channels": True}),
        ("text_encoder", {"hidden_size": 0}),
    ],
)
def test_a_configuration_with_nonsense_is_damaged(copy: Path, part: str, values: dict[str, object]) -> None:
    edit_json(copy / part / "config.json", **values)
    assert code_of(copy) == "model-damaged"


def test_another_kind_of_pipeline_is_named(copy: Path) -> None:
    edit_json(copy / "model_index.json", _class_name="PixArtAlphaPipeline")
    with pytest.raises(ModelError, match="PixArtAlphaPipeline") as caught:
        read_checkpoint(str(copy))
    assert caught.value.code == "model-kind-unsupported"


def test_another_kind_of_part_is_named(copy: Path) -> None:
    edit_json(copy / "model_index.json", vae=["diffusers", "AsymmetricAutoencoderKL"])
    with pytest.raises(ModelError, match="AsymmetricAutoencoderKL, expected AutoencoderKL") as caught:
        read_checkpoint(str(copy))
    assert caught.value.code == "model-kind-unsupported"


def test_a_denoiser_that_takes_other_pictures_is_refused_and_one_for_inpainting_is_not(copy: Path) -> None:
    edit_json(copy / "unet" / "config.json", in_channels=5)
    assert code_of(copy) == "model-kind-unsupported"
    edit_json(copy / "unet" / "config.json", in_channels=9)
    assert read_checkpoint(str(copy)).denoiser.inpainting


def test_reading_handles_imports_no_torch(tiny_folder: Path) -> None:
    script = (
        "import sys, sdgraph.models.pool, sdgraph.models.text, sdgraph.models.network, sdgraph.models.vae\n"
        "from sdgraph.models.checkpoint import read_checkpoint\n"
        f"read_checkpoint({str(tiny_folder)!r})\n"
        "sys.exit(bool({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_synthetic_model_is_the_same_when_it_is_made_again(
    tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setenv("SDGRAPH_HOME", str(tmp_path))
    state = torch.random.get_rng_state()
    folder = synthetic_folder("sd15-tiny")
    again = read_checkpoint(str(folder))
    assert again.fingerprint == tiny.fingerprint
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert json.loads((folder / "model_index.json").read_text())["_class_name"] == "StableDiffusionPipeline"
