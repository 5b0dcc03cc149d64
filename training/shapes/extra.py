"""What the small trainings after the denoiser's share: scenes of their own, and the loop that learns from them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.shapes.captions import write_caption
from training.shapes.checkpoint import load_checkpoint, save_checkpoint
from training.shapes.drawing import draw
from training.shapes.encode import STORED_TOKENS, LatentDataset, load_dataset
from training.shapes.pictures import to_tensor
from training.shapes.settings import Schedule, Settings
from training.shapes.tokens import encode_captions, load_tokenizer
from training.shapes.unet import BatchSource, TextToNoise
from training.shapes.vae import load_vae
from training.shapes.world import Scene

BATCH = 64
SCENES_PER_STEP = 2
"""Scenes drawn for each step of a schedule; a batch is larger, so each is seen several times."""
SAVE_EVERY = 100
logger = logging.getLogger(__name__)


def scene_count(schedule: Schedule, most: int) -> int:
    """How many scenes a schedule is worth."""
    return min(most, max(SCENES_PER_STEP * schedule.steps, schedule.batch))


def learn(
    learnt: nn.Module,
    model: TextToNoise,
    schedule: Schedule,
    path: Path,
    source_of: Callable[[], BatchSource],
    *,
    device: str,
    max_norm: float | None = None,
) -> Path:
    """Train `learnt`, which acts within the frozen `model`, or resume; returns the checkpoint `path`.

    `source_of` makes the batches, if there is anything left to do. Gradients are clipped to the norm `max_norm`.
    """
    optimizer = torch.optim.AdamW(learnt.parameters(), lr=schedule.learning_rate, weight_decay=0.0)
    step = 0
    if (state := load_checkpoint(path)) is not None:
        learnt.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = int(state["step"])
    if step >= schedule.steps:
        return path
    source = source_of()
    smooth = 0.0
    while step < schedule.steps:
        noisy, timesteps, tokens, target, _ = (part.to(device) for part in source.draw(step, schedule.batch))
        loss = (model(noisy, timesteps, tokens).float() - target).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if max_norm is not None:
            nn.utils.clip_grad_norm_(learnt.parameters(), max_norm)
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        optimizer.step()
        step += 1
        smooth += (0.02 if smooth else 1.0) * (float(loss.detach()) - smooth)
        if step % 50 == 0:
            logger.info("%s step %d: loss %.4f", path.stem, step, smooth)
        if step % SAVE_EVERY == 0 or step == schedule.steps:
            save_checkpoint(path, {"step": step, "model": learnt.state_dict(), "optimizer": optimizer.state_dict()})
    return path


@torch.inference_mode()
def encode_scenes(
    settings: Settings,
    scenes: list[Scene],
    rng: np.random.Generator,
    draw_scene: Callable[[Scene, int], np.ndarray] = draw,
    write: Callable[[Scene, np.random.Generator], str] = write_caption,
) -> LatentDataset:
    """The scenes as `draw_scene` draws them, each with several captions by `write`, as the denoiser's data set is."""
    vae = load_vae(settings)
    means: list[torch.Tensor] = []
    stds: list[torch.Tensor] = []
    for first in range(0, len(scenes), BATCH):
        drawn = [draw_scene(scene, settings.image_px) for scene in scenes[first : first + BATCH]]
        posterior = vae.encode(to_tensor(np.stack(drawn)).to(settings.device)).latent_dist
        means.append(posterior.mean.cpu())
        stds.append(posterior.std.cpu())
    captions = [write(scene, rng) for scene in scenes for _ in range(settings.captions_per_scene)]
    ids = encode_captions(load_tokenizer(settings.work_dir / "tokenizer"), captions, STORED_TOKENS)
    tokens = torch.from_numpy(ids).view(len(scenes), settings.captions_per_scene, STORED_TOKENS)
    return LatentDataset(torch.cat(means), torch.cat(stds), tokens, load_dataset(settings).scaling_factor)
