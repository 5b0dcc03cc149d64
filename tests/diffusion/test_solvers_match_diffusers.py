"""Every solver against the diffusers scheduler of its name: same network, same sigmas, same noise.

Largest differences measured, float32, values of about 1.5: Euler 8.9e-5 (50 linspace steps, whose fractional timesteps
come back from log sigmas), DDIM 7.1e-5 (eta 1; 4.6e-6 at eta 0), Heun 2.6e-5, Euler ancestral 2.2e-5, DPM++ 2M 1.1e-5,
UniPC 1.3e-5, LCM 5.0e-6, PNDM 1.8e-6. The mixture's steep flanks amplify rounding up to 25-fold.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import diffusers
import pytest
import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from sdgraph.diffusion.denoiser import ModelDenoiser
from sdgraph.diffusion.guidance import ClassifierFreeGuidance
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.sampling import run_stage
from sdgraph.diffusion.schedule import NoiseSchedule, PredictionType, Spacing
from sdgraph.diffusion.stages import FinalSigma, SigmaName, SolverName, Stage, plan_legs
from sdgraph.diffusion.start import start_from_noise
from tests.diffusion.toys import SD, MixtureNetwork

# diffusers turns tensors into arrays in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SEEDS, SHAPE = (3, 2**40), (4, 6, 6)
TOLERANCE = 1e-4

CLASSES: dict[SolverName, str] = {
    "ddim": "DDIMScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_ancestral": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
    "pndm": "PNDMScheduler",
    "lcm": "LCMScheduler",
}
EXTRA: dict[SolverName, dict[str, object]] = {
    "ddim": {"clip_sample": False},
    "pndm": {"skip_prk_steps": True, "set_alpha_to_one": True},
}


def theirs(
    solver: SolverName,
    steps: int,
    spacing: Spacing,
    prediction: PredictionType,
    eta: float,
    base: NoiseSchedule = SD,
    **config: object,
) -> Tensor:
    scheduler: Any = getattr(diffusers, CLASSES[solver])(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        steps_offset=1,
        prediction_type=prediction,
        **({"timestep_spacing": spacing} | EXTRA.get(solver, {}) | config),
    )
    scheduler.set_timesteps(steps)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    x = randn_tensor((2, *SHAPE), generators) * scheduler.init_noise_sigma
    network = MixtureNetwork(prediction, base)
    options: dict[str, Any] = {"eta": eta} if solver == "ddim" else {}
    options |= {"generator": generators} if solver in ("ddim", "euler_ancestral", "lcm") else {}
    for t in scheduler.timesteps:
        output = network(scheduler.scale_model_input(x, t), t.float().repeat(2), (0.0,))
        x = scheduler.step(output, t, x, **options).prev_sample
    return x


def ours(
    solver: SolverName,
    steps: int,
    spacing: Spacing,
    prediction: PredictionType = "epsilon",
    sigmas: SigmaName = "checkpoint",
    eta: float = 0.0,
    final: FinalSigma = "zero",
    whole_timesteps: bool = False,
    base: NoiseSchedule = SD,
) -> Tensor:
    schedule = replace(base, spacing=spacing, prediction=prediction)
    model = ModelDenoiser(MixtureNetwork(prediction, base), schedule, whole_timesteps)
    stage = Stage(steps=steps, solver=solver, sigmas=sigmas, eta=eta, guidance=ConstantGuidance(scale=1.0))
    legs = plan_legs([stage], final_sigma=final)
    state = start_from_noise(legs, schedule, SEEDS, SHAPE)
    return run_stage(legs[0], state, ClassifierFreeGuidance(model, 0.0, 9.0), schedule).latents()


def difference(left: Tensor, right: Tensor) -> float:
    return float((left - right).abs().max())


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 20])
@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("solver", ["euler", "euler_ancestral", "heun", "dpmpp_2m", "unipc"])
def test_sigma_solvers_match(solver: SolverName, spacing: Spacing, steps: int):
    assert difference(ours(solver, steps, spacing), theirs(solver, steps, spacing, "epsilon", 0.0)) < TOLERANCE


@pytest.mark.parametrize("eta", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("spacing", ["trailing", "leading"])
def test_ddim_matches_at_every_eta(spacing: Spacing, eta: float):
    assert difference(ours("ddim", 20, spacing, eta=eta), theirs("ddim", 20, spacing, "epsilon", eta)) < TOLERANCE


@pytest.mark.parametrize("steps", [2, 4, 5, 20])
def test_pndm_matches(steps: int):
    assert difference(ours("pndm", steps, "leading"), theirs("pndm", steps, "leading", "epsilon", 0.0)) < TOLERANCE


@pytest.mark.parametrize("solver", ["ddim", "pndm"])
def test_ending_at_the_smallest_sigma_is_set_alpha_to_one_false(solver: SolverName):
    reference = theirs(solver, 20, "leading", "epsilon", 0.0, set_alpha_to_one=False)
    assert difference(ours(solver, 20, "leading", final="sigma_min"), reference) < TOLERANCE


@pytest.mark.parametrize("solver", ["dpmpp_2m", "unipc"])
def test_multistep_solvers_lower_their_order_at_the_smallest_sigma_too(solver: SolverName):
    reference = theirs(solver, 10, "trailing", "epsilon", 0.0, final_sigmas_type="sigma_min")
    assert difference(ours(solver, 10, "trailing", final="sigma_min"), reference) < TOLERANCE


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_lcm_matches(steps: int):
    assert difference(ours("lcm", steps, "leading"), theirs("lcm", steps, "leading", "epsilon", 0.0)) < TOLERANCE


@pytest.mark.parametrize("solver", ["euler", "heun", "dpmpp_2m", "unipc"])
def test_karras_sigmas_match(solver: SolverName):
    whole = solver in ("dpmpp_2m", "unipc")
    mine = ours(solver, 20, "linspace", sigmas="karras", whole_timesteps=whole)
    assert difference(mine, theirs(solver, 20, "linspace", "epsilon", 0.0, use_karras_sigmas=True)) < TOLERANCE


@pytest.mark.parametrize("solver", ["ddim", "euler", "euler_ancestral", "heun", "dpmpp_2m", "unipc", "lcm"])
def test_velocity_prediction_matches(solver: SolverName):
    mine = ours(solver, 10, "trailing", "v_prediction")
    assert difference(mine, theirs(solver, 10, "trailing", "v_prediction", 0.0)) < TOLERANCE


# DDIM is left out: diffusers takes the last alpha to be 0 there, all other schedulers 2^-24 as sdgraph does.
@pytest.mark.parametrize("solver", ["euler", "euler_ancestral", "dpmpp_2m", "unipc"])
def test_zero_terminal_snr_matches(solver: SolverName):
    base = NoiseSchedule.from_betas(zero_terminal_snr=True, steps_offset=1)
    reference = theirs(solver, 10, "trailing", "v_prediction", 0.0, base, rescale_betas_zero_snr=True)
    assert difference(ours(solver, 10, "trailing", "v_prediction", base=base), reference) < TOLERANCE
