"""Stage `encode`: draw every training scene once, keep its latents and captions, so that later steps pay for neither.

The data set is cut into shards, each written atomically and independent of the others.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPTokenizer

from training.shapes.captions import write_caption
from training.shapes.checkpoint import load_checkpoint, save_checkpoint
from training.shapes.drawing import draw
from training.shapes.libraries import DiffusersModel
from training.shapes.pictures import to_tensor
from training.shapes.settings import Settings
from training.shapes.tokens import build_tokenizer, encode_captions
from training.shapes.vae import load_vae
from training.shapes.world import Scene, sample_split

STORED_TOKENS = 40
"""Tokens kept per caption; the longest captions need 31 with their two end marks."""
BATCH = 64
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LatentDataset:
    """Encoded scenes.

    `mean` and `std` of the latent posterior are float16 [N, 4, h, w], not yet multiplied by the scaling factor;
    `tokens` are int16 [N, captions, STORED_TOKENS]; `scaling_factor` brings latents to unit variance.
    """

    mean: torch.Tensor
    std: torch.Tensor
    tokens: torch.Tensor
    scaling_factor: float


def scene_of(settings: Settings, index: int) -> tuple[Scene, np.random.Generator]:
    """The training scene of one index, and the generator from which its captions are written."""
    rng = np.random.default_rng([settings.seed, 3, index])
    return sample_split(rng, held_out=False), rng


def encode_dataset(settings: Settings) -> Path:
    """Write the shards that are missing; returns their folder."""
    folder = settings.work_dir / "latents"
    tokenizer = build_tokenizer(settings.work_dir / "tokenizer", settings.seed)
    vae = load_vae(settings)
    for shard in range(-(-settings.scenes // settings.shard_scenes)):
        path = folder / f"{shard:04d}.pt"
        if not path.exists():
            first = shard * settings.shard_scenes
            last = min(first + settings.shard_scenes, settings.scenes)
            save_checkpoint(path, _encode_shard(settings, vae, tokenizer, range(first, last)))
            logger.info("encoded scenes %d to %d", first, last - 1)
    return folder


def load_dataset(settings: Settings) -> LatentDataset:
    """All shards of `settings.scenes` that exist, in memory."""
    count = -(-settings.scenes // settings.shard_scenes)
    paths = [settings.work_dir / "latents" / f"{shard:04d}.pt" for shard in range(count)]
    shards = [shard for path in paths if (shard := load_checkpoint(path)) is not None]
    joined = {name: torch.cat([shard[name] for shard in shards]) for name in ("mean", "std", "tokens")}
    spread = shards[0]["mean"].float().square().mean() + shards[0]["std"].float().square().mean()
    centre = shards[0]["mean"].float().mean()
    scaling_factor = round(float(1.0 / (spread - centre**2).sqrt()), 4)
    return LatentDataset(joined["mean"], joined["std"], joined["tokens"], scaling_factor)


@torch.inference_mode()
def _encode_shard(
    settings: Settings, vae: DiffusersModel, tokenizer: CLIPTokenizer, indices: range
) -> dict[str, torch.Tensor]:
    means: list[torch.Tensor] = []
    stds: list[torch.Tensor] = []
    tokens: list[torch.Tensor] = []
    for first in range(indices.start, indices.stop, BATCH):
        scenes = [scene_of(settings, index) for index in range(first, min(first + BATCH, indices.stop))]
        pictures = to_tensor(np.stack([draw(scene, settings.image_px) for scene, _ in scenes])).to(settings.device)
        with torch.autocast(settings.device, torch.bfloat16):
            posterior = vae.encode(pictures).latent_dist
        means.append(posterior.mean.half().cpu())
        stds.append(posterior.std.half().cpu())
        captions = [write_caption(scene, rng) for scene, rng in scenes for _ in range(settings.captions_per_scene)]
        ids = encode_captions(tokenizer, captions, STORED_TOKENS)
        tokens.append(torch.from_numpy(ids).view(len(scenes), settings.captions_per_scene, STORED_TOKENS))
    return {"mean": torch.cat(means), "std": torch.cat(stds), "tokens": torch.cat(tokens)}
