from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from torch import Tensor

from sdgraph.diffusion.denoiser import ModelDenoiser
from sdgraph.diffusion.guidance import ClassifierFreeGuidance
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.names import SolverName
from sdgraph.diffusion.noise import NoiseStream
from sdgraph.diffusion.sampling import run_stage
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.diffusion.start import start_from_noise
from sdgraph.models.checkpoint import Checkpoint, read_controlnet
from sdgraph.models.network import open_network
from sdgraph.models.pool import ModelPool
from sdgraph.models.text import encode_text
from sdgraph.models.vae import decode_latents
from sdgraph.payloads.control import Control, ControlBranch
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents
from tests.models.reference import reference_pipeline

# diffusers 0.42 calls NumPy in a way that NumPy 2 is leaving behind.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PROMPT, NEGATIVE, SEED, STEPS, SCALE = "a red star", "blurry", 3, 4, 5.0


@dataclass
class Drawn:
    image: Image
    forwards: int
    control_forwards: int


def draw(
    checkpoint: Checkpoint, pool: ModelPool, solver: SolverName, scale: float = SCALE, control: Control | None = None
) -> Drawn:
    """A 64x64 picture by sdgraph's own parts."""
    with pool.lease(checkpoint.text_encoder) as model:
        positive, negative = encode_text(PROMPT, model), encode_text(NEGATIVE, model)
    stage = Stage(steps=STEPS, solver=solver, guidance=ConstantGuidance(scale=scale))
    # This model's DDIM ends at its smallest sigma (`set_alpha_to_one` is false).
    legs = plan_legs([stage], final_sigma="sigma_min" if solver == "ddim" else "zero")
    with open_network(pool, checkpoint.denoiser, control) as network:
        guider = ClassifierFreeGuidance(ModelDenoiser(network, network.schedule), positive, negative)
        state = start_from_noise(legs, network.schedule, (SEED,), (4, 8, 8))
        for leg in legs:
            state = run_stage(leg, state, guider, network.schedule)
    with pool.lease(checkpoint.vae) as vae:
        image = decode_latents(vae, checkpoint.vae, Latents(state.latents(), checkpoint.vae.space))
    return Drawn(image, network.forwards, network.control_forwards)


def reference(pipeline: Any, scheduler: Any, **options: Any) -> Tensor:
    noise = NoiseStream((SEED,), (4, 8, 8)).draw()
    pipeline.scheduler = scheduler
    return pipeline(
        PROMPT,
        negative_prompt=NEGATIVE,
        num_inference_steps=STEPS,
        height=64,
        width=64,
        latents=noise,
        output_type="pt",
        **{"guidance_scale": SCALE, **options},
    ).images


def difference(drawn: Drawn, expected: Tensor) -> float:
    return float((torch.tensor(drawn.image.pixels) - expected).abs().max())


def ddim(pipeline: Any) -> Any:
    return DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)


def dpmpp_2m(pipeline: Any) -> Any:
    return DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)


@pytest.mark.parametrize(("solver", "scheduler"), [("ddim", ddim), ("dpmpp_2m", dpmpp_2m)])
@pytest.mark.parametrize("scale", [1.0, SCALE])
def test_a_picture_equals_that_of_diffusers(
    tiny: Checkpoint, pool: ModelPool, tiny_folder: Path, solver: SolverName, scheduler: Any, scale: float
) -> None:
    pipeline = reference_pipeline(tiny_folder)
    drawn = draw(tiny, pool, solver, scale)
    assert difference(drawn, reference(pipeline, scheduler(pipeline), guidance_scale=scale)) <= 1e-4
    assert drawn.forwards == STEPS


@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (0.25, 0.75)])
def test_a_controlled_picture_equals_that_of_diffusers(
    tiny: Checkpoint, pool: ModelPool, tiny_folder: Path, start: float, end: float
) -> None:
    picture = Image((np.random.default_rng(5).random((1, 3, 64, 64)) > 0.8).astype(np.float32))
    handle = read_controlnet("synthetic:sd15-tiny/controlnet_canny")
    branch = ControlBranch(handle, picture, 0.7, start, end)
    drawn = draw(tiny, pool, "ddim", control=Control((branch,)))
    plain = reference_pipeline(tiny_folder)
    net = ControlNetModel.from_pretrained(str(tiny_folder / "controlnet_canny"), low_cpu_mem_usage=False)
    pipeline = StableDiffusionControlNetPipeline(**plain.components, controlnet=net)
    pipeline.set_progress_bar_config(disable=True)
    expected = reference(
        pipeline,
        ddim(plain),
        image=torch.tensor(picture.pixels),
        controlnet_conditioning_scale=0.7,
        control_guidance_start=start,
        control_guidance_end=end,
    )
    assert difference(drawn, expected) <= 1e-4
    assert drawn.control_forwards == round((end - start) * STEPS)
    assert difference(draw(tiny, pool, "ddim"), expected) > 1e-3
