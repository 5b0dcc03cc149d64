"""Every solver against the diffusers scheduler of its name: same network, same sigmas, same noise.

The largest differences are of the order 1e-5 for values of about 1.5, float32: the mixture's steep flanks amplify
rounding up to 25-fold, and fractional timesteps come back from log sigmas. `benchmarks/parity.py` compares pictures.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_ipndm import IPNDMScheduler
from torch import Tensor

from benchmarks.parity_schedulers import references
from sdgraph.diffusion.denoiser import Denoiser, ModelDenoiser
from sdgraph.diffusion.guidance import ClassifierFreeGuidance
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.names import FinalSigma, SigmaName, SolverName
from sdgraph.diffusion.sampling import run_stage
from sdgraph.diffusion.schedule import NoiseSchedule, PredictionType, Spacing
from sdgraph.diffusion.solvers.contract import Span
from sdgraph.diffusion.solvers.table import SOLVERS, make_solver, rounds_timesteps
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.diffusion.start import start_from_noise
from tests.diffusion.reference import SEEDS, SHAPE, make_scheduler, sampled
from tests.diffusion.toys import SD, MixtureNetwork

pytestmark = [
    # diffusers turns tensors into arrays in a way that NumPy 2 warns about.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning"),
]

TOLERANCE = 1e-4

# diffusers steps from T // N below here, wherever the next timestep is; with linspace that is elsewhere.
EVEN_STEPS_ONLY: set[SolverName] = {"ddim", "pndm", "pndm_rk"}
# Its four Runge-Kutta timesteps need as many steps.
FOUR_STEPS_AT_LEAST: set[SolverName] = {"pndm_rk"}
# Compared by tests of their own: diffusers' answer is not a number at sigma 0 (bh1), or loses its digits in float32.
BY_THEMSELVES: set[SolverName] = {"unipc_bh1", "deis_3"}
MATCHING = sorted(set(references()) - BY_THEMSELVES)


def theirs(
    solver: SolverName,
    steps: int,
    spacing: Spacing,
    prediction: PredictionType = "epsilon",
    eta: float | None = None,
    base: NoiseSchedule = SD,
    shown: Any = None,
    **config: object,
) -> Tensor:
    scheduler = make_scheduler(solver, prediction, **{"timestep_spacing": spacing, **config})
    return sampled(scheduler, steps, MixtureNetwork(prediction, base), eta, shown)


def ours(
    solver: SolverName,
    steps: int,
    spacing: Spacing,
    prediction: PredictionType = "epsilon",
    sigmas: SigmaName = "checkpoint",
    eta: float | None = None,
    final: FinalSigma = "checkpoint",
    base: NoiseSchedule = SD,
) -> Tensor:
    schedule = replace(base, spacing=spacing, prediction=prediction)
    model = ModelDenoiser(MixtureNetwork(prediction, base), schedule, rounds_timesteps(solver))
    stage = Stage(steps=steps, solver=solver, sigmas=sigmas, eta=eta, guidance=ConstantGuidance(scale=1.0))
    legs = plan_legs([stage], final_sigma=final)
    state = start_from_noise(legs, schedule, SEEDS, SHAPE)
    return run_stage(legs[0], state, ClassifierFreeGuidance(model, 0.0, 9.0), schedule).latents()


def shaped(sigmas: SigmaName) -> dict[str, Any]:
    """The flag of such sigmas in a scheduler's configuration."""
    return {f"use_{sigmas}_sigmas": True}


def constant(denoised: Tensor) -> Denoiser:
    """A denoiser of one answer."""
    return lambda x, sigma: denoised


def rounded(scheduler: Any) -> Tensor:
    """The timesteps of a scheduler's sigmas, rounded."""
    return SD.timestep_of(scheduler.sigmas[:-1]).round()


def difference(left: Tensor, right: Tensor) -> float:
    return float((left - right).abs().max())


def test_every_solver_is_compared_or_has_no_scheduler_of_its_name():
    assert set(SOLVERS) - set(references()) == {"ipndm", "dpmpp_2s_ancestral"}


@pytest.mark.parametrize("steps", [3, 10])
@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("solver", MATCHING)
def test_a_solver_draws_what_its_scheduler_draws(solver: SolverName, spacing: Spacing, steps: int):
    if solver in EVEN_STEPS_ONLY:
        spacing, steps = "leading", {3: 5}.get(steps, steps)
    if solver == "dpm2_ancestral" and steps == 3:
        steps = 5  # of 3, diffusers' float32 loses the digits of sigma_down
    assert difference(ours(solver, steps, spacing), theirs(solver, steps, spacing)) < TOLERANCE


@pytest.mark.parametrize("solver", [name for name in MATCHING if name not in FOUR_STEPS_AT_LEAST])
def test_a_single_step_matches(solver: SolverName):
    assert difference(ours(solver, 1, "leading"), theirs(solver, 1, "leading")) < TOLERANCE


@pytest.mark.parametrize("steps", [10, 20])
def test_deis_of_order_3_matches_where_diffusers_computes_its_weights_in_float64(steps: int):
    scheduler = make_scheduler("deis_3", timestep_spacing="leading")
    set_timesteps = scheduler.set_timesteps

    def in_float64(count: int) -> None:
        set_timesteps(count)
        scheduler.sigmas = scheduler.sigmas.double()

    scheduler.set_timesteps = in_float64
    assert difference(ours("deis_3", steps, "leading"), sampled(scheduler, steps, MixtureNetwork()).float()) < TOLERANCE


@pytest.mark.parametrize(
    "solver", ["dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m", "dpmpp_2s", "unipc", "unipc_bh1", "unipc_3"]
)
@pytest.mark.parametrize("steps", [10, 20])
def test_ending_at_the_smallest_sigma_is_final_sigmas_type(solver: SolverName, steps: int):
    spacing: Spacing = "linspace" if solver == "dpmpp_2s" else "trailing"
    base = replace(SD, ends_at_zero=False)
    reference = theirs(solver, steps, spacing, final_sigmas_type="sigma_min")
    assert difference(ours(solver, steps, spacing, base=base), reference) < TOLERANCE
    assert difference(ours(solver, steps, spacing, final="sigma_min"), reference) < TOLERANCE


@pytest.mark.parametrize("solver", sorted(EVEN_STEPS_ONLY))
def test_a_configuration_without_alpha_to_one_ends_at_the_smallest_sigma(solver: SolverName):
    reference = theirs(solver, 20, "leading", set_alpha_to_one=False)
    assert difference(ours(solver, 20, "leading", base=replace(SD, alpha_to_one=False)), reference) < TOLERANCE


@pytest.mark.parametrize("eta", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("solver", ["ddim", "tcd"])
def test_every_eta_matches(solver: SolverName, eta: float):
    assert difference(ours(solver, 20, "leading", eta=eta), theirs(solver, 20, "leading", eta=eta)) < TOLERANCE


# In diffusers, dpm2 rounds every second timestep of Karras' sigmas, and DEIS and SA-Solver take a step of no length.
KARRAS: tuple[SolverName, ...] = (
    *("euler", "heun", "lms", "dpmpp_sde", "dpmpp_2m", "dpmpp_2m_heun", "dpmpp_2m_sde", "dpmpp_2m_sde_heun"),
    *("dpmpp_3m", "dpmpp_3m_sde", "dpmpp_2s", "dpmpp_3s", "unipc", "unipc_3"),
)


@pytest.mark.parametrize("solver", KARRAS)
def test_karras_sigmas_match(solver: SolverName):
    reference = theirs(solver, 20, "linspace", use_karras_sigmas=True)
    assert difference(ours(solver, 20, "linspace", sigmas="karras"), reference) < TOLERANCE


@pytest.mark.parametrize("sigmas", ["exponential", "beta"])
@pytest.mark.parametrize("solver", ["euler", "heun", "lms", "dpm2", "dpm2_ancestral", "dpmpp_sde"])
def test_other_shaped_sigmas_match(solver: SolverName, sigmas: SigmaName):
    reference = theirs(solver, 20, "linspace", **shaped(sigmas))
    assert difference(ours(solver, 20, "linspace", sigmas=sigmas), reference) < TOLERANCE


@pytest.mark.parametrize("sigmas", ["exponential", "beta"])
@pytest.mark.parametrize("solver", ["dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m", "dpmpp_2s", "unipc"])
def test_other_shaped_sigmas_match_where_timesteps_are_rounded_and_not_cut_off(solver: SolverName, sigmas: SigmaName):
    reference = theirs(solver, 20, "linspace", shown=rounded, **shaped(sigmas))
    assert difference(ours(solver, 20, "linspace", sigmas=sigmas), reference) < TOLERANCE


def test_deis_with_shaped_sigmas_matches_without_the_step_of_no_length():
    # 20 sigmas of which the last is given twice: 19 steps, and one that only costs an evaluation.
    reference = theirs("deis", 20, "linspace", use_karras_sigmas=True)
    assert difference(ours("deis", 19, "linspace", sigmas="karras"), reference) < TOLERANCE


@pytest.mark.parametrize("solver", MATCHING)
def test_velocity_prediction_matches(solver: SolverName):
    spacing: Spacing = "leading" if solver in EVEN_STEPS_ONLY else "trailing"
    mine = ours(solver, 10, spacing, "v_prediction")
    assert difference(mine, theirs(solver, 10, spacing, "v_prediction")) < TOLERANCE


# DDIM is left out: diffusers takes the last alpha to be 0 there, all other schedulers 2^-24 as sdgraph does.
@pytest.mark.parametrize("solver", ["euler", "euler_ancestral", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m", "unipc"])
def test_zero_terminal_snr_matches(solver: SolverName):
    base = NoiseSchedule.from_betas(zero_terminal_snr=True, steps_offset=1)
    reference = theirs(solver, 10, "trailing", "v_prediction", base=base, rescale_betas_zero_snr=True)
    assert difference(ours(solver, 10, "trailing", "v_prediction", base=base), reference) < TOLERANCE


def test_ipndm_takes_the_steps_of_its_scheduler():
    # The scheduler has noise levels of its own, which start at pure noise: it is compared from its second step on.
    theirs: Any = IPNDMScheduler()
    theirs.set_timesteps(12)
    theirs.set_begin_index(1)
    signals, noises = theirs.alphas.double(), theirs.betas.double()
    sigmas = (noises / signals)[1:-1].tolist()
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)[None]
    mine, state = x / signals[1], make_solver("ipndm").init()
    for step, (sigma, sigma_next) in enumerate(pairwise(sigmas), start=1):
        signal, noise = signals[step], noises[step]
        velocity = torch.tanh(3 * x) - 0.2 * step
        denoised = signal * x - noise * velocity
        x = theirs.step(velocity, theirs.timesteps[step], x).prev_sample
        span = Span(sigma, sigma_next, SD)
        mine, state = make_solver("ipndm").step(constant(denoised), mine, span, state, torch.Tensor)
        assert difference(mine * signals[step + 1], x) < 1e-5
