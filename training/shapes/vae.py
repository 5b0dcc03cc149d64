"""Stage `vae`: the autoencoder between pictures and 8x smaller latents of 4 channels."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.shapes.checkpoint import load_checkpoint, require_checkpoint, save_checkpoint
from training.shapes.libraries import AutoencoderKL, DiffusersModel
from training.shapes.muon import Optimizers
from training.shapes.pictures import picture_batch
from training.shapes.settings import LATENT_CHANNELS, Settings

KL_WEIGHT = 3e-4
DETAIL_WEIGHT = 4.0
SAVE_EVERY = 500
logger = logging.getLogger(__name__)


def new_vae(settings: Settings) -> DiffusersModel:
    """An untrained autoencoder without attention, so that it serves pictures of any size."""
    blocks = len(settings.vae_channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        block_out_channels=settings.vae_channels,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=settings.image_px,
        mid_block_add_attention=False,
    )


def load_vae(settings: Settings) -> DiffusersModel:
    """The trained autoencoder of the stage `vae`, for inference."""
    vae = new_vae(settings)
    vae.load_state_dict(require_checkpoint(settings.work_dir / "vae.pt")["model"])
    return vae.to(settings.device, memory_format=torch.channels_last).eval().requires_grad_(False)


class ReconstructionLoss(nn.Module):
    """Absolute plus squared error of the round trip, plus a slight pull of the latents to a unit Gaussian."""

    def __init__(self, vae: DiffusersModel) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss and mean squared error of pictures [N, 3, H, W] in -1..1."""
        posterior = self.vae.encode(pictures).latent_dist
        noise = torch.randn_like(posterior.mean)
        error = self.vae.decode(posterior.mean + posterior.std * noise).sample.float() - pictures
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        kl = 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).mean()
        squared = error.square()
        weight = detail_weight(pictures)
        return (weight * (error.abs() + squared)).mean() + KL_WEIGHT * kl, squared.mean()


def detail_weight(pictures: torch.Tensor) -> torch.Tensor:
    """Weights [N, 1, H, W] of about 1 on average, larger near edges: flat ground is most of a picture, and easy."""
    local = nn.functional.avg_pool2d(pictures, 9, stride=1, padding=4, count_include_pad=False)
    contrast = (pictures - local).abs().amax(dim=1, keepdim=True)
    return 0.5 + DETAIL_WEIGHT * contrast


def train_vae(settings: Settings) -> Path:
    """Train or resume; returns the checkpoint, whose `model` entry is the state of the autoencoder."""
    path = settings.work_dir / "vae.pt"
    schedule = settings.vae
    torch.manual_seed(settings.seed)
    vae = new_vae(settings).to(settings.device, memory_format=torch.channels_last)
    optimizer = Optimizers(vae, schedule.learning_rate, ends=("conv_in", "conv_out"), weight_decay=1e-4)
    step = 0
    if (state := load_checkpoint(path)) is not None:
        vae.load_state_dict(state["model"])
        optimizer.load_state_dict(state.get("optimizer"))
        step = int(state["step"])
    loss_of = torch.compile(ReconstructionLoss(vae), dynamic=False, disable=not settings.compile)
    squared_mean = 0.0
    while step < schedule.steps:
        rng = np.random.default_rng([settings.seed, 1, step])
        pictures = picture_batch(rng, schedule.batch, settings.image_px).to(settings.device)
        with torch.autocast(settings.device, torch.bfloat16):
            loss, squared = loss_of(pictures)
        loss.backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step(schedule.rate(step))
        squared_mean += 0.02 * (float(squared.detach()) - squared_mean)
        step += 1
        if step % 100 == 0:
            logger.info("vae step %d: loss %.4f, psnr %.1f dB", step, float(loss.detach()), psnr_db(squared_mean))
        if step % SAVE_EVERY == 0 or step == schedule.steps:
            save_checkpoint(path, {"step": step, "model": vae.state_dict(), "optimizer": optimizer.state_dict()})
    return path


def psnr_db(squared: float) -> float:
    """Peak signal-to-noise ratio of a mean squared error between pictures in -1..1."""
    return float(10.0 * np.log10(4.0 / max(squared, 1e-12)))
