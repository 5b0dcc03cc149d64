"""The noise schedule and every sigma schedule, against diffusers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_lcm import LCMScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

from sdgraph.diffusion.leg_sigmas import leg_sigmas
from sdgraph.diffusion.names import SigmaName
from sdgraph.diffusion.schedule import BetaKind, NoiseSchedule, PredictionType, Spacing, TimestepGrid
from sdgraph.diffusion.sigmas import build_range, build_sigmas, slice_by_sigma, truncate
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.errors import SamplingError
from tests.diffusion.toys import SD

# diffusers turns tensors into arrays in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CONFIG: dict[str, Any] = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}
SPACINGS: tuple[Spacing, ...] = ("trailing", "leading", "linspace")


@pytest.mark.parametrize("kind", ["linear", "scaled_linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("zero_snr", [False, True])
def test_training_sigmas_are_those_of_diffusers(kind: BetaKind, zero_snr: bool):
    config: dict[str, Any] = CONFIG | {"beta_schedule": kind, "rescale_betas_zero_snr": zero_snr}
    theirs = EulerDiscreteScheduler(**config).sigmas[:-1].flip(0)
    ours = NoiseSchedule.from_config(config).training_sigmas
    # diffusers takes the rescaled product apart into betas and multiplies it up again, which costs it some bits.
    torch.testing.assert_close(ours, theirs, rtol=2e-4 if zero_snr else 0, atol=0)


@pytest.mark.parametrize("steps", [1, 2, 7, 20, 30, 50, 99])
@pytest.mark.parametrize("name", SPACINGS)
def test_timestep_spacings_are_bit_equal_to_diffusers(name: Spacing, steps: int):
    euler = EulerDiscreteScheduler(**CONFIG, timestep_spacing=name)
    euler.set_timesteps(steps)
    dpm = DPMSolverMultistepScheduler(**CONFIG, timestep_spacing=name)
    dpm.set_timesteps(steps)
    assert torch.equal(build_sigmas(SD, name, steps), euler.sigmas)
    assert torch.equal(build_sigmas(SD, name, steps, "whole_extra"), dpm.sigmas)


@pytest.mark.parametrize("name", ["karras", "exponential"])
def test_shaped_sigmas_are_those_of_diffusers(name: SigmaName):
    config: dict[str, Any] = CONFIG | {f"use_{name}_sigmas": True}
    theirs = UniPCMultistepScheduler(**config)
    theirs.set_timesteps(20)
    torch.testing.assert_close(build_sigmas(SD, name, 20), theirs.sigmas, rtol=1e-6, atol=0)


def test_karras_sigmas_have_their_golden_values():
    golden = [14.614647, 7.094420, 3.168611, 1.274105, 0.446921, 0.130309, 0.029168, 0.0]
    np.testing.assert_allclose(build_sigmas(SD, "karras", 7), golden, rtol=1e-4)


def test_beta_quantiles_are_those_of_the_beta_distribution():
    levels = build_sigmas(SD, "beta", 41)[:-1].double()
    unit = (levels - SD.sigma_min) / (SD.sigma_max - SD.sigma_min)
    samples = np.sort(np.random.default_rng(0).beta(0.6, 0.6, 200_000))
    expected = np.quantile(samples, 1 - np.linspace(0, 1, 41))
    np.testing.assert_allclose(unit, expected, atol=4e-3)


def test_lcm_timesteps_are_those_of_diffusers():
    theirs = LCMScheduler(**CONFIG)
    for steps in (1, 2, 4, 8, 50):
        theirs.set_timesteps(steps)
        ours = SD.timestep_of(build_sigmas(SD, "checkpoint", steps, "lcm")[:-1])
        assert ours.tolist() == theirs.timesteps.tolist()


def test_every_training_sigma_leads_back_to_its_whole_timestep():
    assert SD.timestep_of(SD.training_sigmas).tolist() == list(range(1000))


def test_fractional_timesteps_are_those_of_diffusers():
    theirs = EulerDiscreteScheduler(**CONFIG, use_karras_sigmas=True)
    theirs.set_timesteps(20)
    ours = SD.timestep_of(build_sigmas(SD, "karras", 20)[:-1])
    torch.testing.assert_close(ours, theirs.timesteps, rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", ["checkpoint", *SPACINGS, "karras", "exponential", "beta", "uniform"])
@pytest.mark.parametrize("grid", ["continuous", "whole", "whole_extra", "lcm"])
def test_every_schedule_descends_to_zero(name: SigmaName, grid: TimestepGrid):
    sigmas = build_sigmas(SD, name, 13, grid)
    assert sigmas.shape == (14,)
    assert sigmas.dtype == torch.float32
    assert bool((sigmas[:-1] > sigmas[1:]).all())
    assert sigmas[-1] == 0


@pytest.mark.parametrize("name", ["checkpoint", *SPACINGS, "karras", "exponential", "beta", "uniform"])
def test_every_schedule_can_end_at_the_smallest_sigma(name: SigmaName):
    sigmas = build_sigmas(SD, name, 13, final="sigma_min")
    assert sigmas.shape == (14,)
    assert bool((sigmas[:-1] > sigmas[1:]).all())
    assert float(sigmas[-1]) == SD.sigma_min


@pytest.mark.parametrize("name", [*SPACINGS, "karras", "exponential", "beta", "uniform"])
def test_a_range_keeps_its_ends_and_descends(name: SigmaName):
    part = build_range(SD, name, 6, start=9.0, end=0.5)
    assert part.shape == (7,)
    assert part[[0, -1]].tolist() == [9.0, 0.5]
    assert bool((part[:-1] > part[1:]).all())
    assert build_range(SD, name, 6, start=9.0)[-1] == 0


def test_truncation_follows_the_image_to_image_rule_of_diffusers():
    sigmas = build_sigmas(SD, "leading", 20)
    assert torch.equal(truncate(sigmas, 0.55), sigmas[9:])
    assert torch.equal(truncate(sigmas, 1.0), sigmas)
    assert len(truncate(sigmas, 0.0)) == 1


def test_a_strength_drops_the_same_steps_from_the_legs():
    whole = build_sigmas(SD, "checkpoint", 20)
    legs = plan_legs([Stage(steps=6), Stage(steps=14)], strength=0.8)
    assert [(leg.first_step, leg.steps) for leg in legs] == [(4, 2), (6, 14)]
    parts = [leg_sigmas(leg, SD) for leg in legs]
    assert torch.equal(torch.cat([parts[0][:-1], parts[1]]), truncate(whole, 0.8))


def test_slicing_by_sigma_keeps_both_bounds():
    sigmas = torch.tensor([10.0, 5.0, 2.0, 1.0, 0.0])
    assert slice_by_sigma(sigmas, 5.0, 1.0).tolist() == [5.0, 2.0, 1.0]


@pytest.mark.parametrize("steps", [0, 1001])
def test_steps_that_the_model_does_not_have_are_refused(steps: int):
    with pytest.raises(SamplingError, match="steps-out-of-range"):
        build_sigmas(SD, "karras", steps)


def test_a_range_outside_the_model_is_refused():
    with pytest.raises(SamplingError, match="sigma-range"):
        build_range(SD, "karras", 5, start=1.0, end=2.0)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_a_scheduler_configuration_is_read(prediction: PredictionType):
    config = {**CONFIG, "prediction_type": prediction, "timestep_spacing": "trailing", "clip_sample": False}
    schedule = NoiseSchedule.from_config(config)
    assert (schedule.prediction, schedule.spacing, schedule.steps_offset) == (prediction, "trailing", 1)


def test_an_unknown_scheduler_configuration_is_one_clear_error():
    with pytest.raises(SamplingError, match=r"`prediction_type` = 'flow'.*scheduler-config"):
        NoiseSchedule.from_config({"prediction_type": "flow"})


def test_progress_of_trailing_timesteps_is_the_share_of_steps():
    timesteps = SD.timestep_of(build_sigmas(SD, "trailing", 10)[:-1]).tolist()
    assert [SD.progress_of(t) for t in timesteps] == pytest.approx([i / 10 for i in range(10)])
