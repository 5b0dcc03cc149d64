"""Denoising loops on tiny models: one on sdgraph's network with control, one that is a diffusers pipeline."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.network import UNetNetwork, open_network
from sdgraph.models.pool import ModelPool
from sdgraph.models.source import resolve
from sdgraph.payloads.conditioning import Conditioning, ConditioningEntry
from sdgraph.payloads.control import Control
from sdgraph.payloads.image import Image
from tests.models.family_references import TINY, encoded

STEPS, SCALE, SIDE_PX = 4, 5.0, 64
PROMPT, NEGATIVE = "a red star", "blurry"


def noise(seed: int = 3, batch: int = 1) -> Tensor:
    return torch.randn(batch, 4, SIDE_PX // 8, SIDE_PX // 8, generator=torch.Generator().manual_seed(seed))


def picture(seed: int = 5, batch: int = 1, side_px: int = SIDE_PX) -> Image:
    generator = np.random.default_rng(seed)
    return Image((generator.random((batch, 3, side_px, side_px)) > 0.8).astype(np.float32))


def scheduler(pipeline: Any) -> Any:
    return DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)


def prompts(family: str) -> tuple[Conditioning, Conditioning]:
    """The negative and the positive conditioning, as diffusers encodes them."""

    def conditioning(text: str) -> Conditioning:
        return Conditioning((ConditioningEntry(*encoded(family, text)),))

    return conditioning(NEGATIVE).as_negative(), conditioning(PROMPT)


def sample(
    pool: ModelPool, family: str, control: Control | None, pipeline: Any, scale: float = SCALE
) -> tuple[Tensor, int]:
    """Latents [1, 4, 8, 8] by sdgraph's network under classifier-free guidance, and the forwards of ControlNets."""
    checkpoint = read_checkpoint(TINY[family])
    stepper, x = scheduler(pipeline), noise()
    stepper.set_timesteps(STEPS)
    with open_network(pool, checkpoint.denoiser, control) as network:
        assert isinstance(network, UNetNetwork)
        for t in stepper.timesteps:
            negative, positive = network(torch.cat([x, x]), t.expand(2), prompts(family)).chunk(2)
            x = stepper.step(negative + scale * (positive - negative), t, x).prev_sample
        assert network.forwards == STEPS
        return x, network.control_forwards


def reference(kind: Any, family: str, base: Any, **options: Any) -> Tensor:
    """Latents [1, 4, 8, 8] by a diffusers pipeline class of the base pipeline's parts and of `parts`."""
    parts = options.pop("parts", {})
    taken = inspect.signature(kind.__init__).parameters
    pipeline = kind(**{name: value for name, value in {**base.components, **parts}.items() if name in taken})
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = scheduler(base)
    return pipeline(
        PROMPT,
        negative_prompt=NEGATIVE,
        num_inference_steps=STEPS,
        height=SIDE_PX,
        width=SIDE_PX,
        latents=noise(),
        guidance_scale=SCALE,
        output_type="latent",
        **options,
    ).images


def part(kind: Any, family: str, name: str) -> Any:
    """A part of a tiny model's folder as diffusers loads it."""
    return kind.from_pretrained(str(resolve(f"{TINY[family]}/{name}")), low_cpu_mem_usage=False)


def difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())
