"""Noise levels that are written out, tables of published ones, and the schedules that other tools are known for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_utils import AysSchedules
from pydantic import ValidationError

from sdgraph.diffusion.denoiser import ModelDenoiser
from sdgraph.diffusion.guidance import ClassifierFreeGuidance
from sdgraph.diffusion.leg_sigmas import leg_sigmas
from sdgraph.diffusion.names import SigmaName, SolverName
from sdgraph.diffusion.sampling import run_stage
from sdgraph.diffusion.schedule import NoiseSchedule
from sdgraph.diffusion.sigmas import build_range, build_sigmas
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.diffusion.start import start_from_noise
from sdgraph.diffusion.state import SamplerState
from sdgraph.errors import SamplingError
from tests.diffusion.reference import SEEDS, SHAPE
from tests.diffusion.toys import SD, MixtureNetwork

# diffusers turns tensors into arrays in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

GUIDER = ClassifierFreeGuidance(ModelDenoiser(MixtureNetwork(), SD), 0.5, -0.5)
TIMESTEPS = (999, 850, 736, 645, 545, 455, 343, 233, 124, 24)


def run(*stages: Stage, strength: float = 1.0) -> SamplerState:
    legs = plan_legs(stages, strength)
    state = start_from_noise(legs, SD, SEEDS, SHAPE)
    for leg in legs:
        state = run_stage(leg, state, GUIDER, SD)
    return state


@pytest.mark.parametrize(
    ("name", "table"), [("ays_sd1", "StableDiffusionSigmas"), ("ays_sdxl", "StableDiffusionXLSigmas")]
)
def test_aligned_steps_are_the_published_ones(name: SigmaName, table: str):
    published = AysSchedules[table]
    np.testing.assert_allclose(build_sigmas(SD, name, 10), published, rtol=1e-6)
    more = build_sigmas(SD, name, 20)
    np.testing.assert_allclose(more[::2], published, rtol=1e-6)
    middle = (np.log(published[2]) + np.log(published[3])) / 2
    assert np.log(float(more[5])) == pytest.approx(middle, rel=1e-5)


def test_aligned_steps_can_run_over_a_range():
    part = build_range(SD, "ays_sd1", 5, start=6.475, end=1.396)
    np.testing.assert_allclose(part[[0, 5]], [6.475, 1.396], rtol=1e-6)
    assert bool((part[:-1] > part[1:]).all())


def test_sgm_uniform_is_uniform_by_its_name_in_other_tools():
    assert torch.equal(build_sigmas(SD, "sgm_uniform", 17), build_sigmas(SD, "uniform", 17))


def test_uniform_spacing_is_even_in_timesteps_from_the_noisiest():
    timesteps = SD.timestep_of(build_sigmas(SD, "sgm_uniform", 9)[:-1]).tolist()
    assert timesteps == pytest.approx([999 * (9 - step) / 9 for step in range(9)], abs=0.01)


@pytest.mark.parametrize(
    ("name", "timesteps"),
    [("simple", [999, 874, 749, 624, 499, 374, 249, 124]), ("ddim_uniform", [876, 751, 626, 501, 376, 251, 126, 1])],
)
def test_picked_training_sigmas_have_their_golden_timesteps(name: SigmaName, timesteps: list[int]):
    assert SD.timestep_of(build_sigmas(SD, name, 8)[:-1]).tolist() == timesteps


def test_ddim_uniform_is_leading_with_an_offset_of_one():
    assert torch.equal(build_sigmas(SD, "ddim_uniform", 30), build_sigmas(SD, "leading", 30))


def test_kl_optimal_sigmas_have_their_golden_values():
    sigmas = build_sigmas(SD, "kl_optimal", 5)
    golden = np.tan(np.linspace(np.arctan(SD.sigma_max), np.arctan(SD.sigma_min), 5))
    np.testing.assert_allclose(sigmas, [*golden, 0.0], rtol=1e-6)
    np.testing.assert_allclose(sigmas[:3], [14.6146, 2.1427, 0.9616], rtol=1e-3)


@pytest.mark.parametrize("steps", [4, 8, 20])
def test_beta_sigmas_are_those_of_diffusers(steps: int):
    theirs = EulerDiscreteScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, use_beta_sigmas=True
    )
    theirs.set_timesteps(steps)
    torch.testing.assert_close(build_sigmas(SD, "beta", steps), theirs.sigmas, rtol=2e-5, atol=2e-6)


def test_custom_timesteps_give_the_sigmas_of_diffusers():
    theirs = EulerDiscreteScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    theirs.set_timesteps(timesteps=list(TIMESTEPS))
    (leg,) = plan_legs([Stage(custom_timesteps=TIMESTEPS)])
    assert torch.equal(leg_sigmas(leg, SD), theirs.sigmas)


def test_custom_sigmas_are_passed_through_as_they_are():
    (leg,) = plan_legs([Stage(custom_sigmas=(14.6, 5.0, 1.0, 0.0))])
    assert (leg.steps, leg_sigmas(leg, SD).tolist()) == (3, pytest.approx([14.6, 5.0, 1.0, 0.0]))


def test_custom_sigmas_of_a_schedule_draw_what_the_schedule_draws():
    named = Stage(steps=7, solver="dpmpp_2m", sigmas="karras")
    written = named.model_copy(update={"custom_sigmas": tuple(build_sigmas(SD, "karras", 7).tolist())})
    assert torch.equal(run(named).x, run(written).x)


def test_a_strength_runs_the_last_of_the_custom_steps():
    legs = plan_legs([Stage(custom_timesteps=TIMESTEPS)], strength=0.3)
    assert [leg.steps for leg in legs] == [3]
    assert SD.timestep_of(leg_sigmas(legs[0], SD)[:-1]).tolist() == [233, 124, 24]


def test_custom_sigmas_of_several_stages_follow_each_other():
    first, second = Stage(custom_sigmas=(14.6, 6.0, 3.0)), Stage(solver="heun", custom_sigmas=(3.0, 1.0, 0.0))
    end = run(first, second)
    assert (end.sigma, end.step) == (0.0, 4)
    legs = plan_legs([first, second], strength=0.5)
    assert [(leg.solver, leg.steps) for leg in legs] == [("heun", 2)]


def test_custom_timesteps_end_where_the_solver_does():
    schedule = replace(SD, alpha_to_one=False)
    (leg,) = plan_legs([Stage(solver="ddim", custom_timesteps=(900, 500, 100))])
    assert float(leg_sigmas(leg, schedule)[-1]) == SD.sigma_min
    assert float(leg_sigmas(leg, SD)[-1]) == 0


@pytest.mark.parametrize(
    "stages",
    [
        [Stage(custom_sigmas=(1.0, 2.0, 0.0))],
        [Stage(custom_sigmas=(1.0, 1.0, 0.0))],
        [Stage(custom_sigmas=(1.0,))],
        [Stage(custom_sigmas=(20.0, 1.0, 0.0))],
        [Stage(custom_timesteps=(1000, 1))],
        [Stage(custom_timesteps=(1, 500))],
        [Stage(steps=5, custom_timesteps=(500, 1))],
        [Stage(custom_sigmas=(3.0, 0.0), custom_timesteps=(500,))],
        [Stage(custom_sigmas=(3.0, 0.0), sigma_end=1.0)],
        [Stage(steps=3), Stage(custom_sigmas=(3.0, 0.0))],
        [Stage(custom_timesteps=(900, 500)), Stage(custom_sigmas=(3.0, 0.0))],
    ],
)
def test_custom_levels_that_make_no_sense_are_one_clear_error(stages: list[Stage]):
    with pytest.raises(SamplingError, match="custom-sigmas"):
        start_from_noise(plan_legs(stages), SD, SEEDS, SHAPE)


@pytest.mark.parametrize("levels", [(float("nan"), 0.0), (float("inf"), 0.0), (1.0, -1.0), ()])
def test_levels_that_are_no_noise_levels_are_refused_at_once(levels: tuple[float, ...]):
    with pytest.raises(ValidationError):
        Stage(custom_sigmas=levels)


def test_the_configuration_says_where_schedules_end():
    config: dict[str, Any] = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    ends = NoiseSchedule.from_config({**config, "set_alpha_to_one": False, "final_sigmas_type": "sigma_min"})
    usual = NoiseSchedule.from_config(config)
    solvers: tuple[SolverName, ...] = ("ddim", "euler", "deis")
    last = [[float(leg_sigmas(plan_legs([Stage(solver=s)])[0], of)[-1]) for s in solvers] for of in (usual, ends)]
    # Their leading timesteps end at the smallest sigma already, without an offset; that of DEIS is one step above.
    assert last == [[0.0, 0.0, SD.sigma_min], [0.0, 0.0, SD.sigma_min]]
    moved = replace(ends, steps_offset=1)
    assert [float(leg_sigmas(plan_legs([Stage(solver=s)])[0], moved)[-1]) for s in solvers] == [SD.sigma_min] * 3
