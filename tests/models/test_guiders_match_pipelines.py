"""Whole pictures with guiders, against the pipelines of diffusers that have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.pipelines.pag.pipeline_pag_sd import StableDiffusionPAGPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.guider_specs import CfgSpec, GuiderSpec, PagSpec
from sdgraph.diffusion.guiders.build import build_guider
from sdgraph.diffusion.noise import NoiseStream
from sdgraph.diffusion.sampling import run_stage
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.diffusion.start import start_from_noise
from sdgraph.models.checkpoint import Checkpoint
from sdgraph.models.compose import open_model
from sdgraph.models.pool import ModelPool
from sdgraph.models.text import encode_text
from tests.models.reference import reference_pipeline

PROMPT, NEGATIVE, SEED, STEPS = "a red star", "blurry", 3, 4


def draw(checkpoint: Checkpoint, pool: ModelPool, guider: GuiderSpec, scale: float) -> Tensor:
    """Latents [1, 4, 8, 8] by sdgraph's own parts."""
    with pool.lease(checkpoint.text_encoder) as model:
        positive, negative = encode_text(PROMPT, model), encode_text(NEGATIVE, model)
    stage = Stage(steps=STEPS, solver="ddim", guidance=ConstantGuidance(scale=scale), guider=guider)
    (leg,) = plan_legs([stage], final_sigma="sigma_min")
    with open_model(pool, checkpoint.denoiser) as model:
        state = start_from_noise((leg,), model.schedule, (SEED,), (4, 8, 8))
        return run_stage(leg, state, build_guider(guider, model, positive, negative), model.schedule).latents()


def reference(pipeline: Any, **options: Any) -> Tensor:
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    noise = NoiseStream((SEED,), (4, 8, 8)).draw()
    size = {"height": 64, "width": 64, "num_inference_steps": STEPS}
    return pipeline(PROMPT, negative_prompt=NEGATIVE, latents=noise, output_type="latent", **size, **options).images


@pytest.mark.parametrize("scale", [1.0, 5.0])
@pytest.mark.parametrize(("layer", "name"), [("mid", "mid"), ("up.1.attentions.0", "up_blocks.1.attentions.0")])
def test_perturbed_attention_guidance(
    tiny: Checkpoint, tiny_folder: Path, pool: ModelPool, scale: float, layer: str, name: str
) -> None:
    pipeline = StableDiffusionPAGPipeline(
        **reference_pipeline(tiny_folder).components, requires_safety_checker=False, pag_applied_layers=[name]
    )
    pipeline.set_progress_bar_config(disable=True)
    expected = reference(pipeline, guidance_scale=scale, pag_scale=3.0)
    found = draw(tiny, pool, PagSpec(layers=(layer,)), scale)
    assert float((found - expected).abs().max()) <= 1e-4
    assert float((found - draw(tiny, pool, CfgSpec(), scale)).abs().max()) > 1e-3


def test_rescaled_guidance(tiny: Checkpoint, tiny_folder: Path, pool: ModelPool) -> None:
    expected = reference(reference_pipeline(tiny_folder), guidance_scale=9.0, guidance_rescale=0.7)
    found = draw(tiny, pool, CfgSpec(rescale=0.7), 9.0)
    assert float((found - expected).abs().max()) <= 1e-4
    assert float((found - draw(tiny, pool, CfgSpec(), 9.0)).abs().max()) > 1e-3
    assert bool(torch.isfinite(found).all())
