"""Inpainting with the nodes, and with the pipeline that it is compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sdgraph_nodes.encode_text import EncodeText
from sdgraph_nodes.inpaint import InpaintLatents
from sdgraph_nodes.sampling import SampleFinish, SampleStage, SampleStart
from torch import Tensor

from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.models.checkpoint import Checkpoint
from sdgraph.models.quiet import quiet
from sdgraph.models.source import resolve
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents
from sdgraph.payloads.mask import Mask
from tests.models.reference import reference_pipeline
from tests.nodes.pictures import noise
from tests.nodes.tiny_model import context, model, prompt

POSITIVE, NEGATIVE, SEED, STEPS, SCALE = "a star", "blue", 3, 4, 4.0
PICTURE = noise(64, 64, seed=4)


def box(left: int = 16, top: int = 24, right: int = 48, bottom: int = 56, edge_px: int = 64) -> Mask:
    values = np.zeros((1, 1, edge_px, edge_px), dtype=np.float32)
    values[..., top:bottom, left:right] = 1
    return Mask(values)


def constant(value: float) -> Mask:
    return Mask(np.full((1, 1, 64, 64), value, dtype=np.float32))


def encode(mask: Mask, checkpoint: Checkpoint | None = None, **ports: Any) -> Latents:
    vae = (checkpoint or model()).vae
    node: Any = InpaintLatents(vae=vae, image=ports.pop("image", PICTURE), mask=mask, **ports)
    return node.run(context()).latents


def sample(
    latents: Latents,
    strength: float = 0.75,
    solver: Any = "dpmpp_2m",
    checkpoint: Checkpoint | None = None,
    **more: Any,
) -> Latents:
    """Latents that went through a sampler's parts, with the prompts above."""
    denoiser = (checkpoint or model()).denoiser

    def encoded(text: str) -> Conditioning:
        if checkpoint is None:
            return prompt(text)
        node: Any = EncodeText(text_encoder=checkpoint.text_encoder, prompt=text)
        return node.run(context()).conditioning

    stage = Stage(steps=STEPS, solver=solver, guidance=ConstantGuidance(scale=SCALE))
    legs = plan_legs([stage], strength)
    leg = legs[0] if legs else None
    start: Any = SampleStart(denoiser=denoiser, latents=latents, seed=SEED, leg=leg, **more)
    state = start.run(context()).state
    for leg in legs:
        ports: Any = {"denoiser": denoiser, "positive": encoded(POSITIVE), "negative": encoded(NEGATIVE)}
        node: Any = SampleStage(**ports, state=state, leg=leg)
        state = node.run(context()).state
    finish: Any = SampleFinish(state=state, given=latents)
    return finish.run(context()).latents


def by_diffusers(source: str, latents: Latents, mask: Mask, strength: float, scheduler: Any, *, soft: bool) -> Tensor:
    """Latents [1, 4, 8, 8] of StableDiffusionInpaintPipeline on the weights of `source`."""
    from diffusers.image_processor import VaeImageProcessor
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_inpaint import StableDiffusionInpaintPipeline

    assert latents.mask is not None
    parts = reference_pipeline(resolve(source)).components
    with quiet():
        pipeline: Any = StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, timestep_spacing="leading")
    pipeline.mask_processor = VaeImageProcessor(do_normalize=False, do_binarize=not soft, do_convert_grayscale=True)
    return pipeline(
        POSITIVE,
        negative_prompt=NEGATIVE,
        image=latents.samples,
        masked_image_latents=latents.mask.visible,
        mask_image=torch.tensor(mask.values),
        height=64,
        width=64,
        strength=strength,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        generator=[torch.Generator().manual_seed(SEED)],
        output_type="latent",
    ).images


def painted(latents: Latents) -> Image:
    """The picture of latents."""
    from sdgraph_nodes.vae import VaeDecode

    node: Any = VaeDecode(vae=model().vae, latents=latents)
    return node.run(context()).image
