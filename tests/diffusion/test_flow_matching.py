"""Flow matching: noise levels, shifts and solvers against diffusers."""

from __future__ import annotations

from typing import Any, get_args

import diffusers
import numpy as np
import pytest
import torch
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from diffusers.schedulers.scheduling_ltx_euler_ancestral_rf import LTXEulerAncestralRFScheduler
from diffusers.utils.torch_utils import randn_tensor

from sdgraph.diffusion.denoiser import ModelDenoiser
from sdgraph.diffusion.guidance import ClassifierFreeGuidance
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.leg_sigmas import leg_sigmas
from sdgraph.diffusion.names import VARIANCE_PRESERVING_ONLY, SigmaName, SolverName
from sdgraph.diffusion.sampling import run_stage
from sdgraph.diffusion.schedule import NoiseSchedule
from sdgraph.diffusion.sigmas import build_sigmas
from sdgraph.diffusion.solvers.table import SOLVERS, rounds_timesteps
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.diffusion.start import start_from_latents, start_from_noise
from sdgraph.errors import SamplingError
from tests.diffusion.reference import sampled
from tests.diffusion.toys import SD, FlowMixtureNetwork

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


@pytest.mark.parametrize("name", ["karras", "exponential", "beta"])
def test_shaped_sigmas_run_between_the_ends_of_the_models_own(name: SigmaName):
    theirs = scheduler(SD3, **{f"use_{name}_sigmas": True})
    theirs.set_timesteps(12)
    ours = build_sigmas(NoiseSchedule.from_config(SD3), name, 12)
    torch.testing.assert_close(ours, theirs.sigmas, rtol=1e-5, atol=1e-5)


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


# Whole timesteps apart (diffusers cuts the fractions of flow sigmas off), every scheduler that has flow sigmas.
FLOW_CLASSES: dict[SolverName, tuple[str, dict[str, object]]] = {
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "dpmpp_3m": ("DPMSolverMultistepScheduler", {"solver_order": 3}),
    "dpmpp_2s": ("DPMSolverSinglestepScheduler", {"lower_order_final": True}),
    "dpmpp_3s": ("DPMSolverSinglestepScheduler", {"solver_order": 3, "lower_order_final": True}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "unipc_3": ("UniPCMultistepScheduler", {"solver_order": 3}),
    "heun": ("FlowMatchHeunDiscreteScheduler", {}),
    "lcm": ("FlowMatchLCMScheduler", {}),
}


def drawn(solver: SolverName, schedule: NoiseSchedule, steps: int) -> torch.Tensor:
    legs = plan_legs([Stage(steps=steps, solver=solver, guidance=ConstantGuidance(scale=1.0))])
    guider = ClassifierFreeGuidance(ModelDenoiser(FlowMixtureNetwork(), schedule, rounds_timesteps(solver)), 0.0, 9.0)
    return run_stage(legs[0], start_from_noise(legs, schedule, SEEDS, SHAPE), guider, schedule).latents()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("steps", [1, 4, 12])
@pytest.mark.parametrize("solver", FLOW_CLASSES)
def test_flow_solvers_match(solver: SolverName, steps: int):
    name, config = FLOW_CLASSES[solver]
    if not name.startswith("FlowMatch"):
        config = {**config, "use_flow_sigmas": True, "flow_shift": 3.0, "prediction_type": "flow_prediction"}
    kind: Any = getattr(diffusers, name)
    theirs = kind(**({"shift": 3.0} if name.startswith("FlowMatch") else {}), **config)

    def shown(of: Any) -> torch.Tensor:
        return of.timesteps if name.startswith("FlowMatch") else of.sigmas[:-1] * 1000

    reference = sampled(theirs, steps, FlowMixtureNetwork(), shown=shown, shape=SHAPE)
    own = NoiseSchedule.from_config(SD3 if name.startswith("FlowMatch") else config)
    torch.testing.assert_close(drawn(solver, own, steps), reference, rtol=0, atol=1e-4)


def test_ancestral_euler_draws_what_ltx_draws():
    theirs: Any = LTXEulerAncestralRFScheduler()
    schedule = NoiseSchedule.from_config(SD3)
    sigmas = build_sigmas(schedule, "checkpoint", 12)

    def set_timesteps(steps: int) -> None:
        LTXEulerAncestralRFScheduler.set_timesteps(theirs, sigmas=sigmas)

    theirs.set_timesteps = set_timesteps
    reference = sampled(
        theirs, 12, FlowMixtureNetwork(), shown=lambda s: s.sigmas[: len(s.timesteps)] * 1000, shape=SHAPE
    )
    torch.testing.assert_close(drawn("euler_ancestral", schedule, 12), reference, rtol=0, atol=1e-4)


@pytest.mark.parametrize("solver", sorted(set(SOLVERS) - VARIANCE_PRESERVING_ONLY))
@pytest.mark.parametrize("config", [SD3, FLUX])
def test_every_fitting_solver_comes_to_the_end_of_a_flow_and_splits_bit_for_bit(
    config: dict[str, Any], solver: SolverName
):
    schedule = NoiseSchedule.from_config(config)
    (leg,) = plan_legs([Stage(steps=6, solver=solver, guidance=ConstantGuidance(scale=1.0))])
    guider = ClassifierFreeGuidance(ModelDenoiser(FlowMixtureNetwork(), schedule), 0.0, 9.0)
    start = start_from_noise([leg], schedule, SEEDS, SHAPE)
    whole, split = run_stage(leg, start, guider, schedule), start
    for part in leg.split(2):
        split = run_stage(part, split, guider, schedule)
    assert whole.sigma == 0.0
    assert bool(whole.x.isfinite().all())
    assert torch.equal(whole.x, split.x)


@pytest.mark.parametrize("solver", sorted(VARIANCE_PRESERVING_ONLY))
def test_a_solver_without_a_formula_for_flows_is_refused_with_those_that_have_one(solver: SolverName):
    legs = plan_legs([Stage(solver=solver)])
    with pytest.raises(SamplingError, match=rf"`{solver}` is for variance preserving.*dpmpp_2m.*solver-family"):
        start_from_noise(legs, NoiseSchedule.from_config(SD3), SEEDS, SHAPE)


def test_a_shift_of_a_stage_takes_the_place_of_the_models():
    (leg,) = plan_legs([Stage(steps=9, shift=6.0)])
    for config in (SD3, FLUX):
        spacing = "trailing" if config is FLUX else "linspace"
        wanted = NoiseSchedule.from_config({**SD3, "shift": 6.0, "timestep_spacing": spacing})
        schedule = NoiseSchedule.from_config(config).for_latents(16, 16)
        assert torch.equal(leg_sigmas(leg, schedule), build_sigmas(wanted, "checkpoint", 9))


def test_a_shift_is_for_flow_matching_only():
    with pytest.raises(SamplingError, match="shift-family"):
        leg_sigmas(plan_legs([Stage(shift=3.0)])[0], SD)


@pytest.mark.parametrize("name", get_args(SigmaName))
def test_every_schedule_of_a_flow_descends_from_noise_to_zero_or_is_refused(name: SigmaName):
    schedule = NoiseSchedule.from_config(SD3)
    if name.startswith("ays"):
        with pytest.raises(SamplingError, match="sigmas-family"):
            build_sigmas(schedule, name, 8)
        return
    sigmas = build_sigmas(schedule, name, 8)
    assert sigmas.shape == (9,)
    assert bool((sigmas[:-1] > sigmas[1:]).all())
    assert 0.9 < float(sigmas[0]) <= 1.0
    assert sigmas[-1] == 0


def test_even_spacing_is_even_before_the_shift():
    schedule = NoiseSchedule.from_config(SD3)
    sigmas = build_sigmas(schedule, "uniform", 8)[:-1].double()
    times = sigmas / (3 - 2 * sigmas)
    torch.testing.assert_close(times.diff(), times.diff().mean().expand(7), rtol=1e-4, atol=0)
