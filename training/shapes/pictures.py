"""Batches of pictures for the autoencoders: scenes, close-ups of scenes, and things that are no scenes at all."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from training.shapes.drawing import draw
from training.shapes.world import sample_split


def picture_batch(rng: np.random.Generator, count: int, image_px: int) -> torch.Tensor:
    """`count` random training pictures, float32 [count, 3, image_px, image_px] in -1..1."""
    return to_tensor(np.stack([_picture(rng, image_px) for _ in range(count)]))


def to_tensor(pictures: np.ndarray) -> torch.Tensor:
    """uint8 RGB [N, H, W, 3] to float32 [N, 3, H, W] in -1..1, channels last in memory."""
    tensor = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    return tensor.contiguous(memory_format=torch.channels_last)


def to_pictures(tensor: torch.Tensor) -> np.ndarray:
    """float [N, 3, H, W] in -1..1 to uint8 RGB [N, H, W, 3]."""
    levels = (tensor.detach().float().clamp(-1, 1) + 1.0) * 127.5
    return levels.round().byte().permute(0, 2, 3, 1).cpu().numpy()


def _picture(rng: np.random.Generator, image_px: int) -> np.ndarray:
    kind = rng.random()
    if kind < 0.86:
        return draw(sample_split(rng, held_out=False), image_px)
    if kind < 0.94:
        return _close_up(rng, image_px)
    return _abstract(rng, image_px)


def _close_up(rng: np.random.Generator, image_px: int) -> np.ndarray:
    """A random crop of a scene drawn up to twice as large, for tiles of larger pictures."""
    large_px = int(rng.integers(image_px + 1, 2 * image_px + 1))
    top, left = rng.integers(large_px - image_px + 1, size=2)
    return draw(sample_split(rng, held_out=False), large_px)[top : top + image_px, left : left + image_px]


def _abstract(rng: np.random.Generator, image_px: int) -> np.ndarray:
    """A gradient with random lines, ellipses and soft noise on it."""
    ramp = np.linspace(0.0, 1.0, image_px, dtype=np.float32)
    corners = rng.uniform(0.0, 255.0, size=(4, 3)).astype(np.float32)
    x, y = ramp[None, :, None], ramp[:, None, None]
    picture = corners[0] * (1 - x) * (1 - y) + corners[1] * x * (1 - y) + corners[2] * (1 - x) * y + corners[3] * x * y
    for _ in range(rng.integers(5)):
        colour = tuple(float(value) for value in rng.uniform(0.0, 255.0, size=3))
        start, end = ((int(a), int(b)) for a, b in rng.integers(image_px, size=(2, 2)))
        if rng.random() < 0.6:
            cv2.line(picture, start, end, colour, int(rng.integers(1, 5)), cv2.LINE_AA)
        else:
            axes = (int(rng.integers(3, image_px // 3)), int(rng.integers(3, image_px // 3)))
            cv2.ellipse(picture, start, axes, float(rng.uniform(0.0, 180.0)), 0.0, 360.0, colour, -1, cv2.LINE_AA)
    if rng.random() < 0.5:
        noise = rng.normal(0.0, rng.uniform(2.0, 30.0), size=(image_px, image_px, 3)).astype(np.float32)
        picture = picture + cv2.GaussianBlur(noise, (0, 0), float(rng.uniform(0.3, 2.0)))
    return np.clip(picture, 0, 255).astype(np.uint8)
