"""Stages: planning, hand-over between solvers, states on disk, cancellation, starts."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sdgraph.diffusion.denoiser import ModelDenoiser
from sdgraph.diffusion.guidance import ClassifierFreeGuidance
from sdgraph.diffusion.guidance_schedule import ConstantGuidance, LinearGuidance
from sdgraph.diffusion.leg import Leg
from sdgraph.diffusion.leg_sigmas import leg_sigmas
from sdgraph.diffusion.names import SolverName
from sdgraph.diffusion.noise import NoiseStream
from sdgraph.diffusion.sampling import StepInfo, run_stage
from sdgraph.diffusion.solvers.table import SOLVERS
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.diffusion.start import Variation, start_from_latents, start_from_noise
from sdgraph.diffusion.state import SamplerState
from sdgraph.errors import RunCancelled, SamplingError
from tests.diffusion.toys import SD, MixtureNetwork

SEEDS, SHAPE = (5, 6), (4, 4, 4)
GUIDER = ClassifierFreeGuidance(ModelDenoiser(MixtureNetwork(), SD), 0.5, -0.5)


def run(*stages: Stage, strength: float = 1.0) -> SamplerState:
    legs = plan_legs(stages, strength)
    state = start_from_noise(legs, SD, SEEDS, SHAPE)
    for leg in legs:
        state = run_stage(leg, state, GUIDER, SD)
    return state


def test_planning_does_not_import_torch():
    code = "import sys, sdgraph.diffusion.stages; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_editing_a_later_stage_leaves_the_earlier_legs_alone():
    first = Stage(steps=6, solver="dpmpp_2m", sigmas="karras")
    second = Stage(steps=14, solver="unipc", sigmas="karras")
    edited = second.model_copy(update={"solver": "heun", "guidance": LinearGuidance(start=9, end=2)})
    assert plan_legs([first, second])[0] == plan_legs([first, edited])[0]


def test_stages_with_sigma_ends_do_not_even_depend_on_each_others_steps():
    first = Stage(steps=6, sigma_end=3.0)
    short, long = plan_legs([first, Stage(steps=5)]), plan_legs([first, Stage(steps=50)])
    assert short[0] == long[0]
    assert [float(leg_sigmas(leg, SD)[-1]) for leg in short] == [3.0, 0.0]
    assert float(leg_sigmas(short[1], SD)[0]) == 3.0


def test_stages_without_ranges_are_slices_of_one_schedule():
    whole = leg_sigmas(plan_legs([Stage(steps=20)])[0], SD)
    parts = [leg_sigmas(leg, SD) for leg in plan_legs([Stage(steps=6), Stage(steps=14)])]
    assert torch.equal(torch.cat([parts[0][:-1], parts[1]]), whole)


def test_guidance_progress_runs_over_each_stage():
    legs = plan_legs([Stage(steps=3), Stage(steps=2)])
    assert [leg.progress_at(i) for leg in legs for i in range(leg.steps)] == [0.0, 0.5, 1.0, 0.0, 1.0]


def test_a_leg_survives_json():
    leg = plan_legs([Stage(steps=8, guidance=LinearGuidance(start=9, end=1))])[0].split(3)[1]
    assert Leg.model_validate_json(leg.model_dump_json()) == leg


@pytest.mark.parametrize(
    ("stages", "strength", "code"),
    [
        ([], 1.0, "no-stages"),
        ([Stage()], 1.5, "strength-out-of-range"),
        ([Stage()], float("nan"), "strength-out-of-range"),
        ([Stage(sigma_end=3), Stage(), Stage()], 1.0, "sigma-ranges-mixed"),
        ([Stage(sigma_end=3), Stage(sigma_end=3)], 1.0, "sigma-ranges-not-descending"),
    ],
)
def test_stages_that_make_no_sense_are_refused(stages: list[Stage], strength: float, code: str):
    with pytest.raises(SamplingError, match=code):
        plan_legs(stages, strength)


@pytest.mark.parametrize("steps", [0, 5, 9])
def test_a_leg_is_not_split_into_nothing(steps: int):
    with pytest.raises(SamplingError, match="split-out-of-range"):
        plan_legs([Stage(steps=5)])[0].split(steps)


def test_finished_latents_are_not_sampled_again():
    with pytest.raises(SamplingError, match="nothing-to-denoise"):
        run_stage(plan_legs([Stage(steps=6)])[0], run(Stage(steps=10)), GUIDER, SD)


def test_another_schedule_is_taken_up_where_the_latents_are():
    first, second = plan_legs([Stage(steps=10, sigmas="exponential"), Stage(steps=10, sigmas="karras")])
    middle = run_stage(first, start_from_noise((first,), SD, SEEDS, SHAPE), GUIDER, SD)
    planned = leg_sigmas(second, SD)[1:]
    seen: list[float] = []
    end = run_stage(second, middle, GUIDER, SD, lambda info: seen.append(info.sigma))
    assert seen == [middle.sigma, *planned[planned < middle.sigma].tolist()[:-1]]
    assert (len(seen), end.step, end.sigma) == (8, 18, 0.0)


@pytest.mark.parametrize("first", SOLVERS)
@pytest.mark.parametrize("second", SOLVERS)
def test_any_solver_can_follow_any_other(first: SolverName, second: SolverName):
    end = run(Stage(steps=4, solver=first), Stage(steps=4, solver=second))
    assert bool(end.x.isfinite().all())
    assert (end.sigma, end.step, end.solver) == (
        SD.sigma_min if SOLVERS[first].ending == "sigma_min" else 0.0,
        8,
        second,
    )


def test_a_new_solver_starts_without_the_old_ones_history():
    legs = plan_legs([Stage(steps=4, solver="dpmpp_2m"), Stage(steps=4, solver="unipc")])
    middle = run_stage(legs[0], start_from_noise(legs, SD, SEEDS, SHAPE), GUIDER, SD)
    without = replace(middle, solver=None, history=type(middle.history)())
    assert middle.history.outputs
    assert torch.equal(run_stage(legs[1], middle, GUIDER, SD).x, run_stage(legs[1], without, GUIDER, SD).x)


def test_a_multistep_solver_uses_the_history_it_is_given():
    legs = plan_legs([Stage(steps=4, solver="dpmpp_2m"), Stage(steps=4, solver="dpmpp_2m")])
    middle = run_stage(legs[0], start_from_noise(legs, SD, SEEDS, SHAPE), GUIDER, SD)
    without = replace(middle, solver=None)
    assert not torch.equal(run_stage(legs[1], middle, GUIDER, SD).x, run_stage(legs[1], without, GUIDER, SD).x)


def test_network_evaluations_are_counted():
    off = ConstantGuidance(scale=1.0)
    assert run(Stage(steps=6)).nfe == 12
    assert run(Stage(steps=6, guidance=off)).nfe == 6
    assert run(Stage(steps=6, solver="heun", guidance=off)).nfe == 11
    assert run(Stage(steps=6, solver="pndm", guidance=off)).nfe == 7


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_state_goes_through_a_file_unchanged(solver: SolverName, tmp_path: Path):
    legs = plan_legs([Stage(steps=4, solver=solver, eta=0.5), Stage(steps=4, solver=solver, eta=0.5)])
    middle = run_stage(legs[0], start_from_noise(legs, SD, SEEDS, SHAPE), GUIDER, SD)
    meta, tensors = middle.to_tensors()
    save_file(tensors, tmp_path / "state.safetensors")
    stored = SamplerState.from_tensors(json.loads(json.dumps(meta)), load_file(tmp_path / "state.safetensors"))
    direct, resumed = run_stage(legs[1], middle, GUIDER, SD), run_stage(legs[1], stored, GUIDER, SD)
    assert torch.equal(direct.x, resumed.x)
    assert (direct.nfe, direct.draws, direct.step) == (resumed.nfe, resumed.draws, resumed.step)


def test_an_incomplete_stored_state_is_one_clear_error():
    meta, tensors = run(Stage(steps=2, solver="dpmpp_2m")).to_tensors()
    del tensors["output_0"]
    with pytest.raises(SamplingError, match="sampler-state"):
        SamplerState.from_tensors(meta, tensors)


def test_every_step_is_reported_and_may_cancel():
    seen: list[StepInfo] = []

    def stop_after_three(info: StepInfo) -> None:
        seen.append(info)
        if info.index == 2:
            raise RunCancelled

    leg = plan_legs([Stage(steps=10)])[0]
    with pytest.raises(RunCancelled):
        run_stage(leg, start_from_noise([leg], SD, SEEDS, SHAPE), GUIDER, SD, stop_after_three)
    assert [(info.index, info.total) for info in seen] == [(0, 10), (1, 10), (2, 10)]
    assert seen[0].denoised.shape == (2, *SHAPE)
    assert seen[0].sigma > seen[1].sigma > seen[2].sigma


def test_a_picture_does_not_depend_on_its_batch():
    legs = plan_legs([Stage(steps=8, solver="euler_ancestral")])
    together = run_stage(legs[0], start_from_noise(legs, SD, (1, 2, 3), SHAPE), GUIDER, SD).x
    alone = run_stage(legs[0], start_from_noise(legs, SD, (2,), SHAPE), GUIDER, SD).x
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=2e-4)


def test_strength_zero_leaves_latents_unchanged():
    latents = torch.randn(2, *SHAPE)
    state = start_from_latents(plan_legs([Stage()], strength=0.0), SD, latents, SEEDS)
    assert torch.equal(state.latents(), latents)


def test_latents_start_under_the_noise_of_the_first_remaining_step():
    latents, legs = torch.randn(2, *SHAPE), plan_legs([Stage(steps=10)], strength=0.3)
    state = start_from_latents(legs, SD, latents, SEEDS)
    assert state.sigma == float(leg_sigmas(plan_legs([Stage(steps=10)])[0], SD)[7])
    torch.testing.assert_close(state.x, latents + state.sigma * NoiseStream(SEEDS, SHAPE).draw())
    assert run_stage(legs[0], state, GUIDER, SD).step == 3


def test_latents_need_a_seed_each():
    with pytest.raises(SamplingError, match="seed-count"):
        start_from_latents(plan_legs([Stage()]), SD, torch.zeros(3, *SHAPE), SEEDS)


def test_noise_without_a_step_to_take_is_refused():
    with pytest.raises(SamplingError, match="no-stages"):
        start_from_noise((), SD, SEEDS, SHAPE)


def test_a_variation_of_no_strength_is_the_seed_itself_and_of_full_strength_the_other_seed():
    legs = plan_legs([Stage()])
    plain = start_from_noise(legs, SD, SEEDS, SHAPE).x
    other = start_from_noise(legs, SD, (8, 9), SHAPE).x
    assert torch.equal(start_from_noise(legs, SD, SEEDS, SHAPE, Variation((8, 9), 0.0)).x, plain)
    assert torch.equal(start_from_noise(legs, SD, SEEDS, SHAPE, Variation((8, 9), 1.0)).x, other)
