"""Stage `depth`: a small ControlNet that reads a depth-like picture, beside the frozen denoiser.

Its encoder is the denoiser's without attention: where things are and how near, it reads from the picture alone. What
has the denoiser's shape starts from the denoiser's weights (Zhang et al. 2023, section 3.1).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sdgraph.models.preprocess.relief import height_at, relief
from training.shapes.checkpoint import require_checkpoint
from training.shapes.controlnet import HINT_CHANNELS, train_beside
from training.shapes.drawing import draw, object_distance
from training.shapes.encode import scene_of
from training.shapes.libraries import ControlNetModel, DiffusersModel
from training.shapes.settings import Settings
from training.shapes.unet import TextToNoise
from training.shapes.world import Scene

SEEN_SHARE = 0.5
"""Share of training pictures whose relief is found in the picture, as a user's is, and not drawn from the scene."""
HEIGHT_RANGE = (0.8, 1.1)


def depth_of(scene: Scene, image_px: int = 64) -> np.ndarray:
    """The relief of a scene as a control image: float32 [3, image_px, image_px] in 0..1, nearer is brighter."""
    heights = [height_at(-object_distance(obj, image_px)) for obj in scene.objects]
    return np.repeat(np.max(heights, axis=0)[None], 3, axis=0)


def seen_depth_of(picture: np.ndarray) -> np.ndarray:
    """The relief that is found in a picture, uint8 RGB [H, W, 3], as a control image: float32 [3, H, W] in 0..1."""
    return np.repeat(relief(picture.transpose(2, 0, 1).astype(np.float32) / 255)[None], 3, axis=0)


def new_depth_net(model: TextToNoise) -> DiffusersModel:
    """The denoiser's encoder without attention, whose residuals start at zero."""
    config = model.unet.config
    blocks = len(config.block_out_channels)
    net = ControlNetModel(
        block_out_channels=config.block_out_channels,
        down_block_types=("DownBlock2D",) * blocks,
        mid_block_type="UNetMidBlock2D",
        layers_per_block=config.layers_per_block,
        cross_attention_dim=config.cross_attention_dim,
        attention_head_dim=config.attention_head_dim,
        norm_num_groups=config.norm_num_groups,
        conditioning_embedding_out_channels=HINT_CHANNELS,
    )
    own, given = net.state_dict(), model.unet.state_dict()
    shared = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    net.load_state_dict(own | shared)
    return net


def load_depth_net(settings: Settings, model: TextToNoise) -> DiffusersModel:
    """The trained ControlNet of this stage, for inference."""
    net = new_depth_net(model)
    net.load_state_dict(require_checkpoint(settings.work_dir / "depth.pt")["ema"])
    return net.to(settings.device).eval().requires_grad_(False)


def depth_batch(settings: Settings, indices: torch.Tensor, step: int) -> torch.Tensor:
    """Reliefs of the training scenes of `indices`, a little higher or flatter than they should be."""
    rng = np.random.default_rng([settings.seed, 7, step])
    hints: list[np.ndarray] = []
    for index in indices.tolist():
        scene = scene_of(settings, index)[0]
        seen = rng.random() < SEEN_SHARE
        hint = seen_depth_of(draw(scene, settings.image_px)) if seen else depth_of(scene, settings.image_px)
        hints.append(np.clip(hint * np.float32(rng.uniform(*HEIGHT_RANGE)), 0, 1))
    return torch.from_numpy(np.stack(hints))


def train_depth(settings: Settings) -> Path:
    """Train or resume; returns the checkpoint, whose `ema` entry is the averaged state to ship."""
    return train_beside(settings, "depth", settings.depth, new_depth_net, depth_batch)
