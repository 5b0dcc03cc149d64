"""Stage `unet`: the denoiser, trained on encoded scenes and on the captions that the stage `text` made readable.

Velocity prediction (Salimans & Ho 2022, section 4) under a noise schedule that keeps 1.5 % of the signal at its end.
"""

from __future__ import annotations

import copy
import logging
import shutil
import time
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from training.shapes.checkpoint import load_checkpoint, require_checkpoint, save_checkpoint
from training.shapes.encode import LatentDataset, load_dataset
from training.shapes.libraries import AttnProcessor, DDIMScheduler, DiffusersModel, UNet2DConditionModel
from training.shapes.muon import Optimizers
from training.shapes.settings import LATENT_CHANNELS, MAX_TOKENS, SHORT_TOKENS, Settings
from training.shapes.text import new_text_encoder
from training.shapes.tokens import load_tokenizer

LONG_SHARE = 0.15
"""Share of batches padded to the full 77 tokens, as inference pads them."""
EMPTY_SHARE = 0.12
TEXT_PREFIX = "text_encoder."
EMA_DECAY = 0.999
SAVE_EVERY = 500
logger = logging.getLogger(__name__)


def new_scheduler() -> DiffusersModel:
    """The noise schedule; its config is what the assets' `scheduler_config.json` holds."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.02,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
    )


class TextToNoise(nn.Module):
    """Text encoder and UNet as one model."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.text_encoder = new_text_encoder(settings)
        blocks = len(settings.unet_channels)
        self.unet = UNet2DConditionModel(
            sample_size=settings.latent_px,
            in_channels=LATENT_CHANNELS,
            out_channels=LATENT_CHANNELS,
            down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * (blocks - 1),
            up_block_types=("CrossAttnUpBlock2D",) * (blocks - 1) + ("UpBlock2D",),
            block_out_channels=settings.unet_channels,
            layers_per_block=1,
            cross_attention_dim=settings.text_width,
            attention_head_dim=4,
            norm_num_groups=16,
        )
        # Sequences are short: on a CPU the fused attention's backward pass costs more than all convolutions together.
        self.unet.set_attn_processor(AttnProcessor())

    def forward(self, noisy: torch.Tensor, timesteps: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Predicted velocity [N, 4, h, w] of noisy latents, timesteps [N] and token ids [N, length]."""
        states = self.text_encoder(input_ids=tokens).last_hidden_state
        return self.unet(noisy, timesteps, states).sample


class BatchSource:
    """Random batches of an encoded data set; what a step sees depends on the seed and the step alone."""

    def __init__(self, settings: Settings, dataset: LatentDataset, empty_share: float = EMPTY_SHARE) -> None:
        self.settings = settings
        self.empty_share = empty_share
        self.dataset = dataset
        self.scheduler = new_scheduler()
        tokenizer = load_tokenizer(settings.work_dir / "tokenizer")
        self.start_id, self.end_id = cast(int, tokenizer.bos_token_id), cast(int, tokenizer.eos_token_id)

    def draw(
        self, step: int, count: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Noisy latents, timesteps, token ids, target velocities, and the indices of the scenes."""
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + step)
        data = self.dataset
        index = torch.randint(len(data.mean), (count,), generator=generator)
        mean, std = data.mean[index].float(), data.std[index].float()
        latents = (mean + std * torch.randn(mean.shape, generator=generator)) * data.scaling_factor
        noise = torch.randn(mean.shape, generator=generator)
        strata = (torch.arange(count) + torch.rand(count, generator=generator)) / count
        timesteps = (strata * 1000).long().clamp(max=999)
        noisy = self.scheduler.add_noise(latents, noise, cast(torch.IntTensor, timesteps))
        target = self.scheduler.get_velocity(latents, noise, cast(torch.IntTensor, timesteps))
        return noisy, timesteps, self._tokens(index, generator), target, index

    def _tokens(self, index: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        count = len(index)
        which = torch.randint(self.dataset.tokens.shape[1], (count,), generator=generator)
        tokens = self.dataset.tokens[index, which].long()
        empty = torch.rand(count, generator=generator) < self.empty_share
        tokens[empty] = self.end_id
        tokens[empty, 0] = self.start_id
        if float(torch.rand((), generator=generator)) >= LONG_SHARE:
            return tokens[:, :SHORT_TOKENS]
        return nn.functional.pad(tokens, (0, MAX_TOKENS - tokens.shape[1]), value=self.end_id)


def load_model(settings: Settings, name: str = "unet.pt", averaged: bool = True) -> TextToNoise:
    """The trained model of the stage `unet`, for inference; with averaged weights unless told otherwise."""
    model = TextToNoise(settings)
    model.load_state_dict(require_checkpoint(settings.work_dir / name)["ema" if averaged else "model"])
    return model.to(settings.device).eval().requires_grad_(False)


def train_unet(settings: Settings) -> Path:
    """Train or resume; returns the checkpoint, whose `ema` entry is the averaged state to ship."""
    path = settings.work_dir / "unet.pt"
    schedule = settings.unet
    torch.manual_seed(settings.seed)
    source = BatchSource(settings, load_dataset(settings))
    model = cast(TextToNoise, cast(Any, TextToNoise(settings)).to(settings.device, memory_format=torch.channels_last))
    optimizer = Optimizers(model, schedule.learning_rate, ends=("conv_in", "conv_out", "embedding"))
    step = 0
    text = require_checkpoint(settings.work_dir / "text.pt")["model"]
    model.text_encoder.load_state_dict(
        {name.removeprefix(TEXT_PREFIX): value for name, value in text.items() if name.startswith(TEXT_PREFIX)}
    )
    model.text_encoder.requires_grad_(False)
    averaged = copy.deepcopy(model).requires_grad_(False)
    if (state := load_checkpoint(path)) is not None:
        model.load_state_dict(state["model"])
        averaged.load_state_dict(state["ema"])
        optimizer.load_state_dict(state.get("optimizer"))
        step = int(state["step"])
    smooth, started = 0.0, time.monotonic()
    while step < schedule.steps:
        batch = (part.to(settings.device) for part in source.draw(step, schedule.batch))
        noisy, timesteps, tokens, target, _ = batch
        with torch.autocast(settings.device, torch.bfloat16):
            predicted = model(noisy.contiguous(memory_format=torch.channels_last), timesteps, tokens)
        loss = (predicted.float() - target).square().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(schedule.rate(step))
        step += 1
        update_average(averaged, model, min(EMA_DECAY, step / (step + 10)))
        smooth += (0.01 if smooth else 1.0) * (float(loss.detach()) - smooth)
        if step % 100 == 0:
            logger.info("unet step %d: loss %.4f (%.0f s)", step, smooth, time.monotonic() - started)
        decays_next = step == schedule.steps - schedule.decay_steps
        if step % SAVE_EVERY == 0 or step == schedule.steps or decays_next:
            parts = {"model": model.state_dict(), "ema": averaged.state_dict(), "optimizer": optimizer.state_dict()}
            save_checkpoint(path, {"step": step, **parts})
        if decays_next:
            shutil.copy(path, path.with_name("unet-stable.pt"))
    return path


@torch.no_grad()
def update_average(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the exponential moving average of the weights one step towards the model."""
    for mean, weight in zip(averaged.parameters(), model.parameters(), strict=True):
        mean.lerp_(weight, 1.0 - decay)
