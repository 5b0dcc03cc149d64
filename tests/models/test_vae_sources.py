"""Autoencoders from checkpoints, folders and files, and whose latents they make."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.families import SPACES
from sdgraph.models.load import load_model
from sdgraph.models.pool import ModelPool
from sdgraph.models.source import resolve
from sdgraph.models.vae import decode_latents, require_readable
from sdgraph.models.vae_source import SpaceChoice, read_vae
from sdgraph.payloads.latents import Latents
from tests.models.family_references import TINY
from tests.models.original_layout import describe, ldm_vae, part_weights, single_file
from tests.models.test_fingerprints import edit_json
from tests.models.test_single_files import states


def lone_file(name: str, path: Path) -> Path:
    """A tiny autoencoder alone, in the original layout, and the folder that describes it."""
    folder = resolve(TINY[name])
    config = json.loads((folder / "vae" / "config.json").read_bytes())
    weights = {key: tensor.contiguous() for key, tensor in ldm_vae(part_weights(folder, "vae"), config).items()}
    save_file(weights, path)
    describe(folder, path.with_suffix(""))
    return path


@pytest.mark.parametrize("name", ["sd1", "sdxl", "sd3", "flux"])
def test_a_checkpoint_s_autoencoder_is_the_one_of_the_checkpoint(name: str, tmp_path: Path) -> None:
    own = read_checkpoint(TINY[name]).vae
    assert read_vae(TINY[name]) == own
    in_file = read_vae(str(single_file(name, tmp_path / "model.safetensors")))
    assert (in_file.space, in_file.family) == (own.space, own.family)
    weights, same = states(in_file), states(own)
    assert all(torch.equal(weights[key], same[key]) for key in same)


@pytest.mark.parametrize("name", ["sd1", "sdxl", "sd3", "flux"])
def test_a_folder_says_by_its_scale_whose_latents_it_makes(name: str) -> None:
    found = read_vae(f"{TINY[name]}/vae")
    assert found.space == read_checkpoint(TINY[name]).vae.space
    assert load_model(found)


@pytest.mark.parametrize("name", ["sd1", "sdxl", "sd3", "flux"])
def test_a_file_does_not_say_it_and_must_be_told(name: SpaceChoice, tmp_path: Path) -> None:
    file = lone_file(name, tmp_path / "vae.safetensors")
    config = str(file.with_suffix(""))
    with pytest.raises(ModelError, match="does not say") as caught:
        read_vae(str(file), config=config)
    assert caught.value.code == "vae-space"
    told = read_vae(str(file), space=name, config=config)
    own = read_checkpoint(TINY[name]).vae
    assert told.space == own.space
    weights, same = states(told), states(own)
    assert all(torch.equal(weights[key], same[key]) for key in same)


def test_a_tiny_autoencoder_takes_the_latents_that_it_is_told() -> None:
    with pytest.raises(ModelError) as caught:
        read_vae(f"{TINY['sd1']}/vae_tiny")
    assert caught.value.code == "vae-space"
    found = read_vae(f"{TINY['sd1']}/vae_tiny", space="sd1")
    assert found.tiny
    assert found.space == read_checkpoint(TINY["sd1"]).vae.space


@pytest.mark.parametrize(("source", "space"), [("sd1", "sdxl"), ("sd1", "flux"), ("sd3", "flux")])
def test_a_checkpoint_can_not_be_told_otherwise(source: str, space: SpaceChoice) -> None:
    with pytest.raises(ModelError) as caught:
        read_vae(TINY[source], space=space)
    assert caught.value.code == "vae-space"


def test_latents_of_other_channels_can_not_be_claimed() -> None:
    with pytest.raises(ModelError, match="16 channels") as caught:
        read_vae(f"{TINY['sd3']}/vae", space="sd1")
    assert caught.value.code == "vae-space"


def test_what_is_no_autoencoder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="UNet2DConditionModel") as caught:
        read_vae(f"{TINY['sd1']}/unet")
    assert caught.value.code == "model-kind-unsupported"
    lora = tmp_path / "lora.safetensors"
    save_file({"lora_unet_x.lora_down.weight": torch.zeros(1, 1)}, lora)
    with pytest.raises(ModelError, match="a LoRA"):
        read_vae(str(lora))


def test_an_unknown_scale_must_be_told(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(resolve(TINY["sd1"]) / "vae", tmp_path / "vae"))
    edit_json(copy / "config.json", scaling_factor=0.5)
    with pytest.raises(ModelError) as caught:
        read_vae(str(copy))
    assert caught.value.code == "vae-space"
    assert read_vae(str(copy), space="sd1").space.scaling_factor == 0.5


def test_a_tiny_autoencoder_reads_latents_of_any_scale_and_others_their_own(pool: ModelPool) -> None:
    """The built-in model's latents have a scale of their own; a tiny autoencoder takes them as the denoiser does."""
    own, other = read_vae("builtin:shapes"), read_vae("builtin:shapes/vae_tiny", space="sd1")
    assert own.space != other.space
    latents = Latents(torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)), own.space)
    with pool.lease(other, "cpu") as model:
        assert decode_latents(model, other, latents).pixels.shape == (1, 3, 64, 64)
    with pytest.raises(ModelError) as caught:
        require_readable(own, other.space)
    assert caught.value.code == "latent-space-mismatch"
    with pytest.raises(ModelError):
        require_readable(other, SPACES["sdxl"])
