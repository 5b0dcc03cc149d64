"""Models in EDM's formulation (Playground v2.5, CosXL) are sampled as diffusers' EDM schedulers do, by any solver."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_edm_dpmsolver_multistep import EDMDPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_edm_euler import EDMEulerScheduler
from torch import Tensor

from sdgraph.diffusion.denoiser import ModelDenoiser
from sdgraph.diffusion.edm import Edm
from sdgraph.diffusion.guidance import ClassifierFreeGuidance
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.names import TRAINING_TIMESTEPS_ONLY, VARIANCE_PRESERVING_ONLY, SigmaName, SolverName
from sdgraph.diffusion.sampling import run_stage
from sdgraph.diffusion.schedule import NoiseSchedule
from sdgraph.diffusion.sigmas import build_sigmas
from sdgraph.diffusion.solvers.table import SOLVERS, make_solver, rounds_timesteps
from sdgraph.diffusion.stages import Stage, plan_legs
from sdgraph.diffusion.start import start_from_latents, start_from_noise
from sdgraph.errors import SamplingError
from tests.diffusion.reference import SEEDS, SHAPE, sampled
from tests.diffusion.test_accuracy import DETERMINISTIC, RANGES, USUAL, gaussian_error

TOLERANCE = 1e-4
PLAYGROUND: dict[str, Any] = {"_class_name": "EDMDPMSolverMultistepScheduler", "sigma_data": 0.5}
COSXL: dict[str, Any] = {
    "_class_name": "EDMEulerScheduler",
    "sigma_data": 1.0,
    "sigma_schedule": "exponential",
    "prediction_type": "v_prediction",
}
CONFIGS = {"Playground v2.5": PLAYGROUND, "CosXL": COSXL}


class EdmMixtureNetwork:
    """The exact network of a mixture of two Gaussians per value, at scaled x [N, C, h, w] and c_noise [N]."""

    def __init__(self, schedule: NoiseSchedule) -> None:
        self.means, self.weights, self.spread = torch.tensor([-1.0, 1.5]), torch.tensor([0.4, 0.6]), 0.25
        self.schedule = schedule

    def __call__(self, x: Tensor, timestep: Tensor, conditionings: tuple[float, ...]) -> Tensor:
        shift = torch.tensor(conditionings).repeat_interleave(len(x) // len(conditionings)).reshape(-1, 1, 1, 1, 1)
        sigma = (timestep.double() * 4).exp().reshape(-1, 1, 1, 1)
        data = self.schedule.data_deviation
        plain = x.double() * (sigma**2 + data**2).sqrt()
        variance = (self.spread**2 + sigma**2)[..., None]
        distance = plain[..., None] - (self.means + shift)
        share_of_mode = torch.softmax(self.weights.log() - distance**2 / (2 * variance), -1)
        denoised = (share_of_mode * (plain[..., None] - sigma[..., None] ** 2 * distance / variance)).sum(-1)
        out = sigma * data / (sigma**2 + data**2).sqrt() * (1 if self.schedule.prediction == "edm" else -1)
        return ((denoised - plain * data**2 / (sigma**2 + data**2)) / out).float()


def ours(config: dict[str, Any], solver: SolverName, steps: int, sigmas: SigmaName = "checkpoint") -> Tensor:
    schedule = NoiseSchedule.from_config(config)
    model = ModelDenoiser(EdmMixtureNetwork(schedule), schedule, rounds_timesteps(solver))
    legs = plan_legs([Stage(steps=steps, solver=solver, sigmas=sigmas, guidance=ConstantGuidance(scale=1.0))])
    state = start_from_noise(legs, schedule, SEEDS, SHAPE)
    return run_stage(legs[0], state, ClassifierFreeGuidance(model, 0.0, 9.0), schedule).latents()


def theirs(config: dict[str, Any], kind: Any, steps: int, **options: Any) -> Tensor:
    scheduler = kind(**{key: value for key, value in config.items() if key != "_class_name"}, **options)
    return sampled(scheduler, steps, EdmMixtureNetwork(NoiseSchedule.from_config(config)))


SDE = {"algorithm_type": "sde-dpmsolver++"}
MATCHING: dict[SolverName, tuple[Any, dict[str, Any]]] = {
    "euler": (EDMEulerScheduler, {}),
    "dpmpp_2m": (EDMDPMSolverMultistepScheduler, {}),
    "dpmpp_2m_heun": (EDMDPMSolverMultistepScheduler, {"solver_type": "heun"}),
    "dpmpp_3m": (EDMDPMSolverMultistepScheduler, {"solver_order": 3}),
    "dpmpp_2m_sde": (EDMDPMSolverMultistepScheduler, SDE),
    "dpmpp_2m_sde_heun": (EDMDPMSolverMultistepScheduler, {**SDE, "solver_type": "heun"}),
}


@pytest.mark.parametrize("steps", [5, 20])
@pytest.mark.parametrize("solver", MATCHING)
@pytest.mark.parametrize("name", CONFIGS)
def test_a_solver_draws_what_the_edm_scheduler_draws(name: str, solver: SolverName, steps: int) -> None:
    kind, options = MATCHING[solver]
    expected = theirs(CONFIGS[name], kind, steps, **options)
    assert float((ours(CONFIGS[name], solver, steps) - expected).abs().max()) < TOLERANCE


@pytest.mark.parametrize("sigmas", ["karras", "exponential"])
def test_the_other_spacing_is_a_sigma_schedule(sigmas: SigmaName) -> None:
    expected = theirs(PLAYGROUND | {"sigma_schedule": sigmas}, EDMDPMSolverMultistepScheduler, 12)
    assert float((ours(PLAYGROUND, "dpmpp_2m", 12, sigmas) - expected).abs().max()) < TOLERANCE


@pytest.mark.parametrize("solver", [name for name in SOLVERS if name not in TRAINING_TIMESTEPS_ONLY])
def test_every_solver_that_fits_draws_the_data(solver: SolverName) -> None:
    """Half of a mixture's values are near one mean and the others near the other."""
    drawn = ours(PLAYGROUND, solver, 40)
    nearest = (drawn[..., None] - torch.tensor([-1.0, 1.5])).abs().min(-1).values
    assert bool(drawn.isfinite().all())
    assert float((nearest < 4 * 0.25).float().mean()) > 0.95


@pytest.mark.parametrize("solver", sorted(TRAINING_TIMESTEPS_ONLY))
def test_solvers_that_count_training_timesteps_are_refused(solver: SolverName) -> None:
    with pytest.raises(SamplingError, match="has none") as caught:
        ours(PLAYGROUND, solver, 10)
    assert caught.value.code == "solver-family"


@pytest.mark.parametrize(
    "name", [n for n in DETERMINISTIC if n not in TRAINING_TIMESTEPS_ONLY | VARIANCE_PRESERVING_ONLY]
)
def test_the_order_is_that_of_other_models(name: SolverName) -> None:
    high, low, steps = RANGES.get(name, USUAL)

    def error(steps: int) -> float:
        levels = torch.linspace(math.log(high), math.log(low), steps + 1, dtype=torch.float64).exp()
        return gaussian_error(name, Edm(), levels)

    assert math.log2(error(steps) / error(2 * steps)) == pytest.approx(make_solver(name).order, abs=0.07)


@pytest.mark.parametrize("name", CONFIGS)
def test_noise_levels_come_back_from_what_the_network_is_shown(name: str) -> None:
    schedule = NoiseSchedule.from_config(CONFIGS[name])
    sigmas = build_sigmas(schedule, "checkpoint", 20)[:-1]
    torch.testing.assert_close(schedule.sigma_of(schedule.timestep_of(sigmas)), sigmas, rtol=1e-5, atol=0)
    progress = [schedule.progress_of(float(t)) for t in schedule.timestep_of(sigmas)]
    assert progress == pytest.approx([step / 19 for step in range(20)], abs=1e-5)
    assert float(schedule.training_sigmas[0]) == pytest.approx(0.002)
    assert float(schedule.training_sigmas[-1]) == pytest.approx(80.0)


@pytest.mark.parametrize("sigmas", ["trailing", "leading", "linspace", "uniform", "simple", "beta", "kl_optimal"])
def test_other_spacings_descend_within_the_models_noise_levels(sigmas: SigmaName) -> None:
    levels = build_sigmas(Edm(), sigmas, 10)
    assert len(levels) == 11
    assert float(levels[0]) <= 80.0 * (1 + 1e-6)
    assert float(levels[-2]) >= 0.002 * (1 - 1e-6)
    assert float(levels[-1]) == 0


def test_image_to_image_starts_with_the_noise_of_its_strength() -> None:
    schedule = Edm()
    legs = plan_legs([Stage(steps=10)], strength=0.5)
    picture = torch.randn(2, *SHAPE)
    state = start_from_latents(legs, schedule, picture, SEEDS)
    assert state.sigma == pytest.approx(float(build_sigmas(schedule, "checkpoint", 10)[5]))
    assert float((state.x - picture).std()) == pytest.approx(state.sigma, rel=0.2)


def test_a_configuration_without_a_range_is_refused() -> None:
    with pytest.raises(SamplingError, match="sigma_min must be below sigma_max, which is 80") as caught:
        NoiseSchedule.from_config(PLAYGROUND | {"sigma_min": 100.0})
    assert caught.value.code == "scheduler-config"


def test_ending_at_the_smallest_sigma_is_the_configurations_choice() -> None:
    config = PLAYGROUND | {"final_sigmas_type": "sigma_min"}
    assert not NoiseSchedule.from_config(config).ends_at_zero
    assert NoiseSchedule.from_config(PLAYGROUND).ends_at_zero
