"""Encoded scenes for the small trainings after the denoiser's: a style or a word, shown by scenes of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from training.shapes.captions import write_caption
from training.shapes.drawing import draw
from training.shapes.encode import STORED_TOKENS, LatentDataset, load_dataset
from training.shapes.pictures import to_tensor
from training.shapes.settings import Settings
from training.shapes.tokens import encode_captions, load_tokenizer
from training.shapes.vae import load_vae
from training.shapes.world import Scene

BATCH = 64


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
