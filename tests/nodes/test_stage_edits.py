from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sdgraph_nodes.stage_edits import is_unguided, with_guidance, with_steps

from sdgraph.diffusion.guidance_schedule import (
    ConstantGuidance,
    CosineGuidance,
    GuidanceSchedule,
    IntervalGuidance,
    LinearGuidance,
    PiecewiseGuidance,
)
from sdgraph.diffusion.guider_specs import CfgPlusPlusSpec
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.errors import SamplingError

SCHEDULES: list[GuidanceSchedule] = [
    ConstantGuidance(scale=5),
    LinearGuidance(start=9, end=2),
    CosineGuidance(start=3, end=7.5),
    PiecewiseGuidance(points=((0, 1), (0.5, 8), (1, 3))),
    IntervalGuidance(scale=6, start=0.2, end=0.8),
]


counts_of_stages = st.lists(st.integers(1, 60), min_size=1, max_size=8)


@given(counts_of_stages, st.integers(8, 400))
@example([1, 56, 60, 1, 1, 1], 100)
@example([60, 1, 1, 1], 4)
def test_stages_that_fill_a_schedule_fill_the_stretched_one_with_at_least_one_step_each(
    counts: list[int], steps: int
) -> None:
    edited = [stage.steps for stage in with_steps([Stage(steps=count) for count in counts], steps, sum(counts))]
    assert sum(edited) == steps
    assert min(edited) >= 1


@given(counts_of_stages)
def test_stretching_to_the_same_length_changes_nothing(counts: list[int]) -> None:
    stages = tuple(Stage(steps=count) for count in counts)
    assert with_steps(stages, sum(counts), sum(counts)) == stages


@given(counts_of_stages, counts_of_stages, st.integers(16, 400), st.data())
def test_the_stretched_steps_of_a_stage_do_not_depend_on_what_the_stages_after_it_are(
    before: list[int], after: list[int], steps: int, data: st.DataObject
) -> None:
    others = data.draw(st.lists(st.integers(1, 60), min_size=len(after), max_size=len(after)))
    assert _prefix(before, after, steps) == _prefix(before, others, steps)


@given(counts_of_stages, counts_of_stages, st.integers(1, 60), st.integers(17, 400))
@example([1, 56, 60], [1, 1], 1, 100)
def test_a_stage_that_is_added_moves_an_earlier_end_only_to_have_a_step_itself(
    before: list[int], after: list[int], added: int, steps: int
) -> None:
    ends = list(accumulate(_prefix(before, after, steps)))
    most = [steps - 1 - len(after) - later for later in reversed(range(len(before)))]
    assert list(accumulate(_prefix(before, [*after, added], steps))) == list(map(min, ends, most))


def _prefix(before: list[int], after: list[int], steps: int) -> list[int]:
    """The steps of the first stages of a schedule that is as long as it must be for these, whatever is after."""
    stages = [Stage(steps=count) for count in (*before, *after)]
    return [stage.steps for stage in with_steps(stages, steps, sum(before) + 600)][: len(before)]


def test_stages_beyond_the_end_of_the_schedule_are_still_refused_when_it_is_stretched() -> None:
    edited = with_steps([Stage(steps=15), Stage(steps=15), Stage(steps=1)], 10, 20)
    with pytest.raises(SamplingError) as caught:
        plan_legs(edited, schedule_steps=10)
    assert caught.value.code == "stages-off-schedule"


def test_stages_with_ends_of_their_own_have_their_steps_multiplied() -> None:
    for first in (Stage(steps=8, until=0.5), Stage(steps=8, sigma_end=3.0)):
        edited = with_steps([first, Stage(steps=1)], 10, 20)
        assert [stage.steps for stage in edited] == [4, 1]


def test_too_few_steps_for_all_stages_are_refused() -> None:
    with pytest.raises(SamplingError) as caught:
        with_steps([Stage(), Stage()], 1, 40)
    assert caught.value.code == "steps-fewer-than-stages"


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(st.floats(0, 30))
def test_the_highest_guidance_becomes_the_asked_one(schedule: GuidanceSchedule, peak: float) -> None:
    (stage,) = with_guidance([Stage(guidance=schedule)], peak)
    scales = [stage.guidance.scale_at(progress / 40, 1.0) for progress in range(41)]
    assert peak in scales
    if peak >= 1:
        assert max(scales) == pytest.approx(max(peak, 1.0))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_guidance_of_one_turns_guidance_off_everywhere(schedule: GuidanceSchedule) -> None:
    (stage,) = with_guidance([Stage(guidance=schedule)], 1.0)
    assert not is_unguided(schedule)
    assert is_unguided(stage.guidance)


def test_the_factor_comes_from_the_first_guided_stage_alone() -> None:
    first, second = Stage(guidance=ConstantGuidance(scale=1)), Stage(guidance=LinearGuidance(start=5, end=3))
    for later in (ConstantGuidance(scale=20), ConstantGuidance(scale=2)):
        edited = with_guidance([first, second, Stage(guidance=later)], 9.0)
        assert edited[0] == first
        assert edited[1].guidance == LinearGuidance(start=9, end=5)


def test_there_must_be_something_to_scale() -> None:
    with pytest.raises(SamplingError) as caught:
        with_guidance([Stage(guidance=ConstantGuidance(scale=1))], 7.5)
    assert caught.value.code == "no-guided-stage"


def test_a_stage_with_cfg_pp_keeps_its_scale_which_is_of_another_kind() -> None:
    own = Stage(guidance=ConstantGuidance(scale=0.6), guider=CfgPlusPlusSpec())
    first, second = with_guidance([own, Stage(guidance=ConstantGuidance(scale=4))], 7.0)
    assert (first, second.guidance) == (own, ConstantGuidance(scale=7.0))
    with pytest.raises(SamplingError) as caught:
        with_guidance([own], 7.0)
    assert caught.value.code == "no-guided-stage"
