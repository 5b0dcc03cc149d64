"""Sizes, seeds and schedules of every training stage in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

LATENT_CHANNELS = 4
DOWNSCALE = 8
MAX_TOKENS = 77
SHORT_TOKENS = 32
"""Padded length of most training batches: it holds every caption and costs less than the full 77."""


@dataclass(frozen=True)
class Schedule:
    """Warm-up, constant part, linear decay: `steps` in all, the last `decay_steps` of them falling to zero.

    Because nothing before the decay depends on its length, a training can be stopped early and still be decayed
    (Hu et al. 2024, MiniCPM, section 4: warmup-stable-decay).
    """

    steps: int
    batch: int
    learning_rate: float
    warmup_steps: int
    decay_steps: int

    def rate(self, step: int) -> float:
        """The learning rate of one step, counted from 0."""
        rising = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        falling = min(1.0, (self.steps - step) / max(self.decay_steps, 1))
        return self.learning_rate * max(min(rising, falling), 0.0)


@dataclass(frozen=True)
class Settings:
    """One whole training. The defaults are the sizes and schedules of the shipped assets.

    `compile` is for the autoencoder: its steps take 0.22 s compiled and 0.39 s not. The denoiser gains nothing by it.
    """

    work_dir: Path = Path("build/shapes")
    assets_dir: Path = Path("sdgraph/assets/shapes")
    image_px: int = 64
    seed: int = 2026
    threads: int = 2
    device: str = "cpu"
    compile: bool = True
    scenes: int = 96_000
    captions_per_scene: int = 3
    shard_scenes: int = 16_000
    vae_channels: tuple[int, ...] = (16, 32, 64, 64)
    unet_channels: tuple[int, ...] = (96, 160)
    text_width: int = 160
    text_layers: int = 3
    vae: Schedule = field(default_factory=lambda: Schedule(7000, 16, 1e-3, 100, 1800))
    tiny: Schedule = field(default_factory=lambda: Schedule(1500, 24, 2e-3, 50, 700))
    text: Schedule = field(default_factory=lambda: Schedule(700, 128, 2e-3, 50, 350))
    unet: Schedule = field(default_factory=lambda: Schedule(8000, 64, 1.5e-3, 300, 2300))
    controlnet: Schedule = field(default_factory=lambda: Schedule(1700, 32, 1e-3, 50, 700))
    depth: Schedule = field(default_factory=lambda: Schedule(1200, 24, 1e-3, 50, 500))
    lora: Schedule = field(default_factory=lambda: Schedule(1000, 16, 2e-3, 30, 500))
    embedding: Schedule = field(default_factory=lambda: Schedule(400, 16, 1e-2, 20, 200))

    @property
    def latent_px(self) -> int:
        """Side of a latent of a training picture."""
        return self.image_px // DOWNSCALE
