"""Flow matching: noise levels, shifts and solvers against diffusers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from diffusers.utils.torch_utils import randn_tensor

from sdgraph.diffusion.denoiser import ModelDenoiser
from sdgraph.diffusion.guidance import ClassifierFreeGuidance
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.sampling import run_stage
from sdgraph.diffusion.schedule import NoiseSchedule
from sdgraph.diffusion.sigmas import build_sigmas
from sdgraph.diffusion.stages import SigmaName, Stage, plan_legs
from sdgraph.diffusion.start import start_from_latents, start_from_noise
from tests.diffusion.toys import FlowMixtureNetwork

SD3 = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
FLUX = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0, "use_dynamic_shifting": True}
SEEDS, SHAPE = (3, 2**40), (16, 6, 8)
STEPS = (1, 2, 7, 28)


def scheduler(config: dict[str, Any], **more: Any) -> Any:
    return FlowMatchEulerDiscreteScheduler(**{k: v for k, v in config.items() if k != "_class_name"}, **more)


@pytest.mark.parametrize("steps", STEPS)
def test_a_fixed_shift_gives_the_sigmas_of_diffusers(steps: int):
    theirs = scheduler(SD3)
    theirs.set_timesteps(steps)
    assert torch.equal(build_sigmas(NoiseSchedule.from_config(SD3), "checkpoint", steps), theirs.sigmas)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("side", [16, 64, 128, 160])
def test_a_dynamic_shift_follows_the_size_as_in_diffusers(steps: int, side: int):
    theirs = scheduler(FLUX)
    mu = calculate_shift((side // 2) ** 2)
    theirs.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=mu)
    ours = build_sigmas(NoiseSchedule.from_config(FLUX).for_latents(side, side), "checkpoint", steps)
    torch.testing.assert_close(ours, theirs.sigmas, rtol=3e-7, atol=0)


@pytest.mark.parametrize("name", ["karras", "exponential"])
def test_shaped_sigmas_run_between_the_ends_of_the_models_own(name: SigmaName):
    theirs = scheduler(SD3, **{f"use_{name}_sigmas": True})
    theirs.set_timesteps(12)
    ours = build_sigmas(NoiseSchedule.from_config(SD3), name, 12)
    torch.testing.assert_close(ours, theirs.sigmas, rtol=1e-6, atol=1e-6)


def test_timesteps_are_a_thousand_sigmas():
    schedule = NoiseSchedule.from_config(SD3)
    theirs = scheduler(SD3)
    theirs.set_timesteps(28)
    assert torch.equal(schedule.timestep_of(theirs.sigmas[:-1]), theirs.timesteps)
    torch.testing.assert_close(schedule.sigma_of(theirs.timesteps), theirs.sigmas[:-1])


@pytest.mark.parametrize("config", [SD3, FLUX])
@pytest.mark.parametrize("steps", STEPS)
def test_euler_matches(config: dict[str, Any], steps: int):
    schedule = NoiseSchedule.from_config(config)
    legs = plan_legs([Stage(steps=steps, guidance=ConstantGuidance(scale=1.0))])
    guider = ClassifierFreeGuidance(ModelDenoiser(FlowMixtureNetwork(), schedule), 0.3, 9.0)
    ours = run_stage(legs[0], start_from_noise(legs, schedule, SEEDS, SHAPE), guider, schedule).latents()

    theirs, network = scheduler(config), FlowMixtureNetwork()
    own_sigmas = {"sigmas": np.linspace(1.0, 1 / steps, steps), "mu": calculate_shift(12)}
    theirs.set_timesteps(**(own_sigmas if config is FLUX else {"num_inference_steps": steps}))
    x = randn_tensor((2, *SHAPE), [torch.Generator().manual_seed(seed) for seed in SEEDS])
    for t in theirs.timesteps:
        x = theirs.step(network(x, t.repeat(2), (0.3,)), t, x).prev_sample
    torch.testing.assert_close(ours, x, rtol=0, atol=1e-5)


def test_image_to_image_starts_on_the_straight_line_between_picture_and_noise():
    schedule, picture = NoiseSchedule.from_config(SD3), torch.randn(2, *SHAPE)
    state = start_from_latents(plan_legs([Stage(steps=10)], strength=0.6), schedule, picture, SEEDS)
    theirs = scheduler(SD3)
    theirs.set_timesteps(10)
    noise = randn_tensor((2, *SHAPE), [torch.Generator().manual_seed(seed) for seed in SEEDS])
    assert torch.equal(state.x, theirs.scale_noise(picture, theirs.timesteps[4:5], noise))


def test_progress_takes_the_shift_back():
    schedule = NoiseSchedule.from_config({**SD3, "timestep_spacing": "trailing"})
    timesteps = schedule.timestep_of(build_sigmas(schedule, "checkpoint", 8)[:-1]).tolist()
    assert [schedule.progress_of(timestep) for timestep in timesteps] == pytest.approx([i / 8 for i in range(8)])
