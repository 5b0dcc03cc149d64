"""Stage `tiny`: a small autoencoder on the same latents, fast enough to show a picture at every sampling step."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.shapes.checkpoint import load_checkpoint, require_checkpoint, save_checkpoint
from training.shapes.encode import load_dataset
from training.shapes.libraries import AutoencoderTiny, DiffusersModel
from training.shapes.muon import Optimizers
from training.shapes.pictures import picture_batch
from training.shapes.settings import LATENT_CHANNELS, Settings
from training.shapes.vae import load_vae

CHANNELS = 16
SAVE_EVERY = 250
logger = logging.getLogger(__name__)


def new_tiny() -> DiffusersModel:
    """An untrained preview autoencoder (Bohan 2023, "Tiny AutoEncoder for Stable Diffusion"), 8x downscale."""
    return AutoencoderTiny(
        encoder_block_out_channels=(CHANNELS,) * 4,
        decoder_block_out_channels=(CHANNELS,) * 4,
        latent_channels=LATENT_CHANNELS,
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(2, 2, 1, 1),
        scaling_factor=1.0,
    )


def load_tiny(settings: Settings) -> DiffusersModel:
    """The trained preview autoencoder, for inference; it takes latents as the denoiser sees them, already scaled."""
    tiny = new_tiny()
    tiny.load_state_dict(require_checkpoint(settings.work_dir / "tiny.pt")["model"])
    return tiny.eval().requires_grad_(False)


def train_tiny(settings: Settings) -> Path:
    """Distil the encoder and the decoder of the stage `vae`; returns the checkpoint."""
    path = settings.work_dir / "tiny.pt"
    schedule = settings.tiny
    torch.manual_seed(settings.seed)
    scaling_factor = load_dataset(settings).scaling_factor
    teacher = load_vae(settings)
    tiny = new_tiny().to(settings.device, memory_format=torch.channels_last)
    optimizer = Optimizers(tiny, schedule.learning_rate, ends=("encoder.layers.0.", "decoder.layers.0."))
    step = 0
    if (state := load_checkpoint(path)) is not None:
        tiny.load_state_dict(state["model"])
        optimizer.load_state_dict(state.get("optimizer"))
        step = int(state["step"])
    while step < schedule.steps:
        rng = np.random.default_rng([settings.seed, 4, step])
        pictures = picture_batch(rng, schedule.batch, settings.image_px).to(settings.device)
        with torch.autocast(settings.device, torch.bfloat16):
            with torch.no_grad():
                latents = teacher.encode(pictures).latent_dist.mean * scaling_factor
            loss = _loss(tiny, pictures, latents)
        loss.backward()
        nn.utils.clip_grad_norm_(tiny.parameters(), 1.0)
        optimizer.step(schedule.rate(step))
        step += 1
        if step % 100 == 0:
            logger.info("tiny step %d: loss %.4f", step, float(loss.detach()))
        if step % SAVE_EVERY == 0 or step == schedule.steps:
            save_checkpoint(path, {"step": step, "model": tiny.state_dict(), "optimizer": optimizer.state_dict()})
    return path


def _loss(tiny: DiffusersModel, pictures: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """Absolute error of the decoded pictures plus squared error of the encoded latents."""
    decoded = tiny.decode(latents).sample.float()
    encoded = tiny.encode(pictures).latents.float()
    return (decoded - pictures).abs().mean() + 0.2 * (encoded - latents.float()).square().mean()
