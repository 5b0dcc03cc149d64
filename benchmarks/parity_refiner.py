"""SDXL's hand-over: the base model draws most of the steps, the refiner the rest."""

from __future__ import annotations

from typing import Any

import diffusers
import numpy as np
import torch
from sdgraph_nodes.empty_latents import EmptyLatents
from sdgraph_nodes.encode_text import EncodeText
from sdgraph_nodes.load_checkpoint import LoadCheckpoint
from sdgraph_nodes.sampler import StagedSampler
from sdgraph_nodes.vae import VaeDecode

from benchmarks.parity_cases import IMAGE_PX, NEGATIVE, PROMPT, Pixels, run_workflow
from sdgraph.core.workflow import Workflow
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.stage import Stage
from sdgraph.models.quiet import quiet

_diffusers: Any = diffusers
BASE, REFINER = "synthetic:sdxl-tiny", "synthetic:sdxl_refiner-tiny"
STEPS, SHARE, GUIDANCE, SEEDS = 8, 0.75, 5.0, (3, 4)


def hand_over_difference() -> float:
    """The largest difference between the pictures of sdgraph and of diffusers."""
    return float(np.abs(_by_sdgraph() - _by_diffusers()).max())


def _by_sdgraph() -> Pixels:
    wf = Workflow("hand over")
    base = wf.add("base", LoadCheckpoint(source=BASE)).out
    refiner = wf.add("refiner", LoadCheckpoint(source=REFINER)).out
    prompts: dict[str, Any] = {}
    for which, encoder in (("", base.text_encoder), ("refiner_", refiner.text_encoder)):
        for name, text in (("positive", PROMPT), ("negative", NEGATIVE)):
            node = EncodeText(text_encoder=encoder, prompt=text)
            prompts[which + name] = wf.add(which + name, node).out.conditioning
    start = wf.add("start", EmptyLatents(width_px=IMAGE_PX, height_px=IMAGE_PX, batch=len(SEEDS))).out.latents
    guidance = ConstantGuidance(scale=GUIDANCE)
    stages = (
        Stage(steps=int(STEPS * SHARE), until=SHARE, solver="euler", guidance=guidance),
        Stage(steps=STEPS - int(STEPS * SHARE), solver="euler", guidance=guidance, model="refiner"),
    )
    sampler = StagedSampler(
        denoiser=base.denoiser,
        refiner=refiner.denoiser,
        latents=start,
        seed=SEEDS[0],
        stages=stages,
        schedule_steps=STEPS,
        **prompts,
    )
    latents = wf.add("sample", sampler).out.latents
    wf.output("image", wf.add("image", VaeDecode(vae=refiner.vae, latents=latents)).out.image)
    return run_workflow(wf)["image"].pixels


def _by_diffusers() -> Pixels:
    from benchmarks.parity_pipelines import parts_of

    with quiet():
        first = _diffusers.StableDiffusionXLPipeline(**parts_of(BASE))
        second = _diffusers.StableDiffusionXLImg2ImgPipeline(**parts_of(REFINER), requires_aesthetics_score=True)
    shared: dict[str, Any] = {
        "prompt": [PROMPT] * len(SEEDS),
        "negative_prompt": [NEGATIVE] * len(SEEDS),
        "num_inference_steps": STEPS,
        "guidance_scale": GUIDANCE,
        "generator": [torch.Generator().manual_seed(seed) for seed in SEEDS],
    }
    for pipeline in (first, second):
        pipeline.set_progress_bar_config(disable=True)
        pipeline.scheduler = _diffusers.EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    with quiet(), torch.no_grad():
        half = first(**shared, height=IMAGE_PX, width=IMAGE_PX, denoising_end=SHARE, output_type="latent").images
        whole = second(**shared, image=half, denoising_start=SHARE, output_type="np").images
    return np.moveaxis(np.asarray(whole, dtype=np.float32), -1, 1)
