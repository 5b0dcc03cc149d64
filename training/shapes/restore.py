"""Going on from the shipped assets: rebuild the checkpoints of a working directory that has been lost.

The autoencoders and the text encoder count as finished; the denoiser and the ControlNets start a new schedule from the
shipped weights, for example on a GPU or with more scenes.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from torch import nn

from training.shapes.checkpoint import save_checkpoint
from training.shapes.libraries import (
    AutoencoderKL,
    AutoencoderTiny,
    CLIPTextModel,
    ControlNetModel,
    UNet2DConditionModel,
)
from training.shapes.settings import Settings
from training.shapes.text import SceneReader
from training.shapes.unet import TextToNoise


def restore_checkpoints(settings: Settings) -> Path:
    """Write every checkpoint that is missing below the working directory; returns that directory."""
    assets, work = settings.assets_dir, settings.work_dir
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "tokenizer").exists():
        shutil.copytree(assets / "tokenizer", work / "tokenizer")
    text = CLIPTextModel.from_pretrained(assets / "text_encoder").float()
    reader = SceneReader(settings)
    reader.text_encoder.load_state_dict(text.state_dict())
    model = TextToNoise(settings)
    model.text_encoder.load_state_dict(text.state_dict())
    model.unet.load_state_dict(UNet2DConditionModel.from_pretrained(assets / "unet").float().state_dict())
    parts: dict[str, tuple[nn.Module, int]] = {
        "vae": (AutoencoderKL.from_pretrained(assets / "vae"), settings.vae.steps),
        "tiny": (AutoencoderTiny.from_pretrained(assets / "vae_tiny"), settings.tiny.steps),
        "text": (reader, settings.text.steps),
        "unet": (model, 0),
        "controlnet": (ControlNetModel.from_pretrained(assets / "controlnet_canny"), 0),
    }
    if (assets / "controlnet_depth").is_dir():
        parts["depth"] = ControlNetModel.from_pretrained(assets / "controlnet_depth"), 0
    for name, (part, step) in parts.items():
        path = work / f"{name}.pt"
        if not path.exists():
            weights: dict[str, Any] = part.float().state_dict()
            save_checkpoint(path, {"step": step, "model": weights, "ema": weights})
    return work
