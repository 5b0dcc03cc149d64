"""A picture of every model family by sdgraph's nodes, against the diffusers pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sdgraph_nodes.empty_latents import EmptyLatents
from sdgraph_nodes.encode_text import EncodeText
from sdgraph_nodes.load_checkpoint import LoadCheckpoint
from sdgraph_nodes.sampler import Sampler
from sdgraph_nodes.vae import VaeDecode
from torch import Tensor

from sdgraph.core.workflow import Workflow
from sdgraph.diffusion.noise import NoiseStream
from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.payloads.image import Image
from tests.models.family_references import TINY, pipeline
from tests.workflows.runner import Session

# diffusers 0.42 calls NumPy in a way that NumPy 2 is leaving behind.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PROMPT, NEGATIVE, SEED, STEPS = "a red star", "blurry", 3, 4


def draw(name: str, guidance: float, width_px: int = 64, height_px: int = 64) -> Image:
    wf = Workflow("family")
    sd = wf.add("sd", LoadCheckpoint(source=TINY[name])).out
    positive = wf.add("positive", EncodeText(text_encoder=sd.text_encoder, prompt=PROMPT)).out
    negative = wf.add("negative", EncodeText(text_encoder=sd.text_encoder, prompt=NEGATIVE)).out
    start = wf.add("start", EmptyLatents(width_px=width_px, height_px=height_px)).out
    sample = wf.add(
        "sample",
        Sampler(
            denoiser=sd.denoiser,
            positive=positive.conditioning,
            negative=negative.conditioning,
            latents=start.latents,
            seed=SEED,
            steps=STEPS,
            guidance=guidance,
        ),
    ).out
    image = wf.add("image", VaeDecode(vae=sd.vae, latents=sample.latents)).out
    wf.output("image", image.image)
    report = Session().run(wf.to_document())
    assert report.problems == ()
    return report.outputs["image"]


def reference(name: str, guidance: float, width_px: int = 64, height_px: int = 64) -> Tensor:
    from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler

    pipe = pipeline(name)
    space = read_checkpoint(TINY[name]).denoiser.space
    noise = NoiseStream((SEED,), (space.channels, height_px // 8, width_px // 8)).draw()
    options: dict[str, Any] = {"guidance_scale": guidance}
    if name in ("sd1", "sd2", "sdxl"):
        pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    if name.startswith("flux"):
        noise = pipe._pack_latents(noise, 1, space.channels, height_px // 8, width_px // 8)
        options = {"true_cfg_scale": guidance, "guidance_scale": 3.5}
    return pipe(
        PROMPT,
        negative_prompt=NEGATIVE,
        num_inference_steps=STEPS,
        height=height_px,
        width=width_px,
        latents=noise,
        output_type="pt",
        **options,
    ).images


@pytest.mark.parametrize("name", [name for name in TINY if name != "sdxl_refiner"])
@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_a_picture_equals_that_of_diffusers(name: str, guidance: float) -> None:
    drawn = draw(name, guidance)
    assert np.abs(drawn.pixels - reference(name, guidance).numpy()).max() <= 1e-4


@pytest.mark.parametrize("name", ["sdxl", "sd3", "flux"])
def test_a_picture_of_another_size_equals_that_of_diffusers_too(name: str) -> None:
    drawn = draw(name, 4.0, 96, 48)
    assert np.abs(drawn.pixels - reference(name, 4.0, 96, 48).numpy()).max() <= 1e-4
