"""How stages divide a schedule: parts of a reference of fixed length, or ranges of their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sdgraph.diffusion.denoiser import ModelDenoiser
from sdgraph.diffusion.guidance import ClassifierFreeGuidance
from sdgraph.diffusion.leg import Leg
from sdgraph.diffusion.leg_sigmas import leg_sigmas
from sdgraph.diffusion.sampling import run_stage
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs, plan_start
from sdgraph.diffusion.start import start_from_latents, start_from_noise, start_sigma
from sdgraph.diffusion.state import SamplerState
from sdgraph.errors import SamplingError
from tests.diffusion.toys import SD, MixtureNetwork

GUIDER = ClassifierFreeGuidance(ModelDenoiser(MixtureNetwork(), SD), 0.5, -0.5)
SHAPE = (4, 4, 4)
SPACINGS = st.sampled_from(["checkpoint", "trailing", "karras", "exponential", "uniform"])


def run(legs: tuple[Leg, ...]) -> SamplerState:
    state = start_from_noise(legs, SD, (3,), SHAPE)
    for leg in legs:
        state = run_stage(leg, state, GUIDER, SD)
    return state


@given(st.integers(3, 20), SPACINGS, st.data())
@settings(max_examples=30, deadline=None)
def test_stages_that_split_a_schedule_are_the_one_stage_bit_for_bit(total: int, spacing: Any, data: st.DataObject):
    first = data.draw(st.integers(1, total - 1))
    whole = plan_legs([Stage(steps=total, solver="dpmpp_2m", sigmas=spacing)])
    parts = [Stage(steps=n, solver="dpmpp_2m", sigmas=spacing) for n in (first, total - first)]
    assert torch.equal(run(plan_legs(parts, schedule_steps=total)).x, run(whole).x)
    shares = [parts[0].model_copy(update={"until": first / total}), parts[1]]
    assert torch.equal(run(plan_legs(shares, schedule_steps=total)).x, run(whole).x)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.integers(1, 200), st.floats(0, 1))
def test_no_leg_depends_on_the_steps_of_a_stage_after_it(counts: list[int], last: int, strength: float):
    def legs(steps: int) -> list[Leg]:
        stages = [Stage(steps=count) for count in (*counts, steps)]
        found = plan_legs(stages, strength, schedule_steps=20)
        return [leg for leg in found if not leg.final]

    assert legs(last) == legs(1)


@given(st.integers(2, 40), st.integers(1, 40), st.floats(0.05, 0.95), SPACINGS)
@settings(max_examples=40, deadline=None)
def test_a_share_fixes_where_a_stage_hands_over_whatever_its_steps(total: int, steps: int, share: float, spacing: Any):
    place = round(share * total)
    if not 0 < place < total - 1:  # the last step of shaped schedules leads from the smallest sigma to 0
        return
    legs = plan_legs([Stage(steps=steps, until=share, sigmas=spacing), Stage(sigmas=spacing)], schedule_steps=total)
    reference = leg_sigmas(plan_legs([Stage(steps=total, sigmas=spacing)])[0], SD)
    sigmas = [leg_sigmas(leg, SD) for leg in legs]
    assert [len(part) - 1 for part in sigmas] == [steps, 20]
    assert float(sigmas[0][0]) == float(reference[0])
    assert float(sigmas[0][-1]) == float(sigmas[1][0]) == float(reference[place])
    assert float(sigmas[1][-1]) == 0
    assert all(bool((part[:-1] > part[1:]).all()) for part in sigmas)


def test_a_single_stage_has_the_schedule_of_its_own_steps():
    assert plan_legs([Stage(steps=7)], schedule_steps=20) == plan_legs([Stage(steps=7)])


@given(st.integers(1, 30), st.floats(0, 1))
def test_a_shortened_single_stage_runs_as_many_steps_as_diffusers(steps: int, strength: float):
    legs = plan_legs([Stage(steps=steps)], strength, schedule_steps=20)
    assert sum(leg.steps for leg in legs) == int(steps * strength)


def test_a_last_stage_with_its_own_number_of_steps_is_shortened_in_proportion():
    stages = [Stage(steps=10), Stage(steps=30)]
    assert [leg.steps for leg in plan_legs(stages, 0.75, schedule_steps=20)] == [5, 30]
    assert [leg.steps for leg in plan_legs(stages, 0.25, schedule_steps=20)] == [15]


def test_a_stage_that_stops_early_leaves_noise():
    (leg,) = plan_legs([Stage(steps=10, until=0.5)], schedule_steps=20)
    state = run((leg,))
    assert not leg.final
    assert state.sigma == float(leg_sigmas(plan_legs([Stage(steps=20)])[0], SD)[10])


@pytest.mark.parametrize(
    "stages",
    [
        [Stage(steps=20), Stage()],
        [Stage(steps=5), Stage(steps=15), Stage()],
        [Stage(until=0.5), Stage(until=0.5), Stage()],
        [Stage(until=0.5), Stage(until=0.3)],
        [Stage(until=0.01), Stage()],
    ],
)
def test_a_stage_with_no_part_of_the_schedule_is_refused(stages: list[Stage]):
    with pytest.raises(SamplingError, match="stages-off-schedule"):
        plan_legs(stages, schedule_steps=20)


def test_the_last_step_from_the_smallest_sigma_is_not_divided():
    _, last = plan_legs([Stage(steps=19, sigmas="karras"), Stage(steps=3, sigmas="karras")], schedule_steps=20)
    with pytest.raises(SamplingError, match="sigma-range"):
        leg_sigmas(last, SD)


def test_shares_and_sigmas_are_not_mixed():
    with pytest.raises(SamplingError, match="sigma-ranges-mixed"):
        plan_legs([Stage(sigma_end=3), Stage(until=0.5), Stage()])


def test_stages_with_ranges_start_where_the_reference_schedule_does_at_a_strength():
    stages = [Stage(steps=6, sigma_end=3.0), Stage(steps=5)]
    legs, start = plan_legs(stages, 0.25, schedule_steps=20), plan_start(stages, 0.25, schedule_steps=20)
    assert legs == plan_legs(stages, schedule_steps=20)
    assert start is not None
    reference = plan_legs([Stage(steps=20)], 0.25)[0]
    assert start_sigma(start, SD) == start_sigma(reference, SD) < 3.0
    state = start_from_latents([start], SD, torch.zeros(1, *SHAPE), (3,))
    for leg in legs:
        state = run_stage(leg, state, GUIDER, SD)
    assert state.sigma == 0
    assert 0 < state.step < 5  # nothing of the first stage, a part of the second


@pytest.mark.parametrize("stages", [[Stage()], [Stage(sigma_end=3), Stage()], [Stage(steps=10), Stage(steps=10)]])
def test_no_strength_takes_no_step(stages: list[Stage]):
    assert plan_legs(stages, 0.0, schedule_steps=20) == ()
    assert plan_start(stages, 0.0, schedule_steps=20) is None
