"""Every stage of the training runs one step at a tiny size, resumes, and ends in assets that a pipeline loads."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.embeddings import with_embedding
from sdgraph.models.patches.lora import with_lora
from sdgraph.models.pool import ModelPool
from sdgraph.models.words import words
from training.shapes.checkpoint import load_checkpoint, require_checkpoint, save_checkpoint
from training.shapes.controlnet import GuidedNoise, new_controlnet, train_controlnet
from training.shapes.depth import new_depth_net, train_depth
from training.shapes.embedding import VECTORS, WORD, train_embedding
from training.shapes.encode import encode_dataset, load_dataset
from training.shapes.export import assets_bytes, export_assets
from training.shapes.libraries import ControlNetModel, DiffusersModel, StableDiffusionPipeline
from training.shapes.lora import STYLE, add_lora, train_lora
from training.shapes.restore import restore_checkpoints
from training.shapes.settings import Schedule, Settings
from training.shapes.text import train_text
from training.shapes.tiny import train_tiny
from training.shapes.unet import BatchSource, TextToNoise, load_model, train_unet
from training.shapes.vae import train_vae

SHIPPED = Path(__file__).resolve().parents[2] / "sdgraph" / "assets" / "shapes"
ONE_STEP = Schedule(steps=1, batch=4, learning_rate=1e-3, warmup_steps=1, decay_steps=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose working directory holds one step of every stage, and the assets exported from it."""
    folder = tmp_path_factory.mktemp("training")
    settings = Settings(
        work_dir=folder / "work",
        assets_dir=folder / "assets",
        image_px=32,
        compile=False,
        scenes=12,
        shard_scenes=8,
        vae_channels=(8, 8, 8, 8),
        unet_channels=(16, 16),
        text_width=32,
        text_layers=1,
        vae=ONE_STEP,
        tiny=ONE_STEP,
        text=ONE_STEP,
        unet=ONE_STEP,
        controlnet=ONE_STEP,
        depth=ONE_STEP,
        lora=ONE_STEP,
        embedding=ONE_STEP,
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train_vae(settings)
    encode_dataset(settings)
    train_tiny(settings)
    train_text(settings)
    train_unet(settings)
    train_controlnet(settings)
    train_depth(settings)
    train_lora(settings)
    train_embedding(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_assets(settings)
    torch.set_num_threads(threads)
    return settings


def test_latents_have_unit_variance_once_scaled(trained: Settings) -> None:
    dataset = load_dataset(trained)
    assert dataset.mean.shape == (12, 4, 4, 4)
    assert dataset.tokens.shape == (12, trained.captions_per_scene, 40)
    noise = torch.randn(dataset.mean.shape, generator=torch.Generator().manual_seed(0))
    latents = (dataset.mean.float() + dataset.std.float() * noise) * dataset.scaling_factor
    assert float(latents.std()) == pytest.approx(1.0, rel=0.25)


def test_a_batch_depends_on_its_step_alone(trained: Settings) -> None:
    dataset = load_dataset(trained)
    first, again = (BatchSource(trained, dataset).draw(7, 4) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert not torch.equal(first[0], BatchSource(trained, dataset).draw(8, 4)[0])


def test_some_captions_are_dropped_for_guidance(trained: Settings) -> None:
    source = BatchSource(trained, load_dataset(trained), empty_share=0.5)
    tokens = source.draw(0, 200)[2]
    empty = (tokens[:, 1:] == source.end_id).all(dim=1).float().mean()
    assert 0.35 < float(empty) < 0.65


def test_training_resumes_where_it_stopped(trained: Settings) -> None:
    train_unet(replace(trained, unet=replace(ONE_STEP, steps=2)))
    assert require_checkpoint(trained.work_dir / "unet.pt")["step"] == 2


@pytest.mark.parametrize("new_net", [new_controlnet, new_depth_net])
def test_a_new_controlnet_changes_nothing(trained: Settings, new_net: Callable[[TextToNoise], DiffusersModel]) -> None:
    model = load_model(trained)
    guided = GuidedNoise(model, new_net(model)).eval()
    noisy, timesteps, tokens, _, _ = BatchSource(trained, load_dataset(trained)).draw(0, 2)
    with torch.inference_mode():
        assert torch.equal(guided(noisy, timesteps, tokens, torch.ones(2, 3, 32, 32)), model(noisy, timesteps, tokens))


def test_the_depth_net_has_no_attention_and_starts_from_the_denoiser(trained: Settings) -> None:
    model = load_model(trained)
    net = new_depth_net(model)
    assert not net.attn_processors
    assert sum(part.numel() for part in net.parameters()) < sum(
        part.numel() for part in new_controlnet(model).parameters()
    )
    for name in ("conv_in.weight", "time_embedding.linear_1.weight", "mid_block.resnets.0.conv1.weight"):
        assert torch.equal(net.get_parameter(name), model.unet.get_parameter(name))


def test_the_exported_folder_loads_as_a_pipeline(trained: Settings) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = StableDiffusionPipeline.from_pretrained(trained.assets_dir, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pictures = pipeline("a red star", num_inference_steps=1, output_type="np").images
    assert pictures.shape == (1, 32, 32, 3)
    assert pipeline.vae.config.scaling_factor == load_dataset(trained).scaling_factor
    for name in ("controlnet_canny", "controlnet_depth"):
        assert ControlNetModel.from_pretrained(trained.assets_dir / name).config.cross_attention_dim == 32


def test_training_goes_on_from_exported_assets(trained: Settings, tmp_path: Path) -> None:
    settings = replace(trained, work_dir=tmp_path / "work")
    restore_checkpoints(settings)
    exported = load_model(trained).unet.conv_in.weight
    assert torch.allclose(load_model(settings).unet.conv_in.weight, exported, atol=1e-3)
    encode_dataset(settings)
    for stage in (train_vae, train_tiny, train_text, train_unet, train_controlnet, train_depth):
        stage(settings)
    assert require_checkpoint(settings.work_dir / "controlnet.pt")["step"] == 1
    assert require_checkpoint(settings.work_dir / "depth.pt")["step"] == 1


def test_a_new_lora_changes_nothing(trained: Settings) -> None:
    model, plain = load_model(trained), load_model(trained)
    add_lora(model.unet)
    noisy, timesteps, tokens, _, _ = BatchSource(trained, load_dataset(trained)).draw(0, 2)
    with torch.inference_mode():
        assert torch.equal(model(noisy, timesteps, tokens), plain(noisy, timesteps, tokens))


def test_the_exported_lora_and_word_are_put_on_the_exported_model(trained: Settings) -> None:
    assets = trained.assets_dir
    found = read_checkpoint(str(assets))
    styled = with_lora(found.denoiser, None, str(assets / f"lora_{STYLE}"), 1.0, 0.0)
    assert styled.warning is None
    spoken = with_embedding(found.text_encoder, str(assets / f"embedding_{WORD}"))
    pool = ModelPool()
    with pool.lease(styled.denoiser) as unet, pool.lease(spoken) as text:
        changed = sum(tensor.nbytes for tensor in unet.parameters())
        assert pool.held_bytes > changed
        assert len(words(text.encoder)[WORD]) == VECTORS


@pytest.mark.parametrize(("name", "train"), [("lora", train_lora), ("embedding", train_embedding)])
def test_the_small_trainings_resume_where_they_stopped(trained: Settings, name: str, train: Any) -> None:
    before = require_checkpoint(trained.work_dir / f"{name}.pt")
    assert before["step"] == 1
    two = replace(ONE_STEP, steps=2, decay_steps=2)
    train(replace(trained, **{name: two}))
    resumed = require_checkpoint(trained.work_dir / f"{name}.pt")
    (trained.work_dir / f"{name}.pt").unlink()
    assert resumed["step"] == 2
    train(replace(trained, **{name: two}))
    again = require_checkpoint(trained.work_dir / f"{name}.pt")["model"]
    assert {key: tensor.shape for key, tensor in again.items()} == {key: t.shape for key, t in before["model"].items()}
    assert any(not torch.equal(resumed["model"][key], before["model"][key]) for key in again)


def test_an_interrupted_write_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "stage.pt"
    save_checkpoint(path, {"step": 1})
    path.with_suffix(".partial").write_bytes(b"half a checkpoint")
    assert load_checkpoint(path) == {"step": 1}


def test_a_missing_stage_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="The stage `vae` has left no checkpoint"):
        require_checkpoint(tmp_path / "vae.pt")


def test_the_schedule_rises_stays_and_falls() -> None:
    schedule = Schedule(steps=100, batch=1, learning_rate=1.0, warmup_steps=10, decay_steps=20)
    rates = [schedule.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert set(rates[9:81]) == {1.0}
    assert rates[81:] == sorted(rates[81:], reverse=True)
    assert 0.0 < rates[-1] < 0.1


def test_the_shipped_assets_stay_below_thirty_megabytes() -> None:
    assert 1e6 < assets_bytes(SHIPPED) <= 30e6
