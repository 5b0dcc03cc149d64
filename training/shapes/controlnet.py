"""Stage `controlnet`: a canny ControlNet beside the frozen denoiser (Zhang et al. 2023, section 3)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from training.shapes.checkpoint import load_checkpoint, require_checkpoint, save_checkpoint
from training.shapes.drawing import draw
from training.shapes.encode import load_dataset, scene_of
from training.shapes.libraries import ControlNetModel, DiffusersModel
from training.shapes.muon import Optimizers
from training.shapes.settings import Schedule, Settings
from training.shapes.unet import BatchSource, TextToNoise, load_model, update_average

HINT_CHANNELS = (16, 32, 64, 96)
EMPTY_SHARE = 0.3
"""Share of captions dropped, so that the edges alone have to place the shape."""
EMA_DECAY = 0.99
SAVE_EVERY = 250
logger = logging.getLogger(__name__)


def edges_of(picture: np.ndarray, low: float = 100.0, high: float = 200.0) -> np.ndarray:
    """Canny edges of a picture, uint8 RGB [H, W, 3], as a control image: float32 [3, H, W] of 0 and 1."""
    edges = cv2.Canny(picture, low, high)
    return np.repeat(edges[None].astype(np.float32) / 255.0, 3, axis=0)


def new_controlnet(model: TextToNoise) -> DiffusersModel:
    """A copy of the denoiser's encoder whose residuals start at zero."""
    return ControlNetModel.from_unet(model.unet, conditioning_embedding_out_channels=HINT_CHANNELS)


def load_controlnet(settings: Settings, model: TextToNoise) -> DiffusersModel:
    """The trained ControlNet of this stage, for inference."""
    controlnet = new_controlnet(model)
    controlnet.load_state_dict(require_checkpoint(settings.work_dir / "controlnet.pt")["ema"])
    return controlnet.to(settings.device).eval().requires_grad_(False)


class GuidedNoise(nn.Module):
    """The frozen denoiser with a trainable ControlNet beside it."""

    def __init__(self, model: TextToNoise, controlnet: DiffusersModel) -> None:
        super().__init__()
        self.model = model
        self.controlnet = controlnet

    def forward(
        self, noisy: torch.Tensor, timesteps: torch.Tensor, tokens: torch.Tensor, hint: torch.Tensor
    ) -> torch.Tensor:
        """Predicted velocity [N, 4, h, w]; `hint` is a control image [N, 3, 8h, 8w] in 0..1."""
        states = self.model.text_encoder(input_ids=tokens).last_hidden_state
        down, mid = self.controlnet(noisy, timesteps, states, hint, return_dict=False)
        return self.model.unet(
            noisy, timesteps, states, down_block_additional_residuals=down, mid_block_additional_residual=mid
        ).sample


def hint_batch(settings: Settings, indices: torch.Tensor, step: int) -> torch.Tensor:
    """Edges of the training scenes of `indices` under random thresholds, of the colour or of the grey picture."""
    rng = np.random.default_rng([settings.seed, 5, step])
    hints: list[np.ndarray] = []
    for index in indices.tolist():
        picture = draw(scene_of(settings, index)[0], settings.image_px)
        if rng.random() < 0.5:
            picture = np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        hints.append(edges_of(picture, float(rng.uniform(40, 120)), float(rng.uniform(120, 220))))
    return torch.from_numpy(np.stack(hints))


def train_controlnet(settings: Settings) -> Path:
    """Train or resume; returns the checkpoint, whose `ema` entry is the averaged state to ship."""
    return train_beside(settings, "controlnet", settings.controlnet, new_controlnet, hint_batch)


def train_beside(
    settings: Settings,
    stage: str,
    schedule: Schedule,
    new_net: Callable[[TextToNoise], DiffusersModel],
    hints: Callable[[Settings, torch.Tensor, int], torch.Tensor],
) -> Path:
    """Train a control network beside the frozen denoiser, or resume; returns the stage's checkpoint.

    `hints` gives the control images [N, 3, H, W] of the scenes with these indices at a step.
    """
    path = settings.work_dir / f"{stage}.pt"
    torch.manual_seed(settings.seed)
    source = BatchSource(settings, load_dataset(settings), EMPTY_SHARE)
    model = load_model(settings)
    guided = GuidedNoise(model, new_net(model)).to(settings.device)
    averaged = new_net(model).to(settings.device).requires_grad_(False)
    ends = ("conv_in", "conv_out", "embedding", "controlnet_down", "controlnet_mid")
    optimizer = Optimizers(guided.controlnet, schedule.learning_rate, ends)
    step = 0
    if (state := load_checkpoint(path)) is not None:
        guided.controlnet.load_state_dict(state["model"])
        averaged.load_state_dict(state["ema"])
        optimizer.load_state_dict(state.get("optimizer"))
        step = int(state["step"])
    smooth = 0.0
    while step < schedule.steps:
        noisy, timesteps, tokens, target, index = source.draw(step, schedule.batch)
        inputs = (noisy, timesteps, tokens, hints(settings, index, step))
        with torch.autocast(settings.device, torch.bfloat16):
            predicted = guided(*(part.to(settings.device) for part in inputs))
        loss = (predicted.float() - target.to(settings.device)).square().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(guided.controlnet.parameters(), 1.0)
        optimizer.step(schedule.rate(step))
        step += 1
        update_average(averaged, guided.controlnet, min(EMA_DECAY, step / (step + 10)))
        smooth += (0.02 if smooth else 1.0) * (float(loss.detach()) - smooth)
        if step % 100 == 0:
            logger.info("%s step %d: loss %.4f", stage, step, smooth)
        if step % SAVE_EVERY == 0 or step == schedule.steps:
            parts = {"model": guided.controlnet.state_dict(), "ema": averaged.state_dict()}
            save_checkpoint(path, {"step": step, "optimizer": optimizer.state_dict(), **parts})
    return path
