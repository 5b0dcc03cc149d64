"""What the samplers become: a start, one node per stage, a finish."""

from __future__ import annotations

from typing import Any

import pytest
from sdgraph_nodes.sampler import Sampler, StagedSampler
from sdgraph_nodes.sampler_advanced import AdvancedSampler

from sdgraph.core.workflow import Workflow
from sdgraph.diffusion.guidance_schedule import ConstantGuidance, LinearGuidance
from sdgraph.diffusion.stage import Stage
from sdgraph.errors import SamplingError
from tests.nodes.tiny_model import empty, model, prompt


def expand(node: Any) -> dict[str, Any]:
    inner = Workflow()
    node.expand(inner)
    return inner.nodes


def ports(**more: Any) -> Any:
    return {
        "denoiser": model().denoiser,
        "positive": prompt("a star"),
        "negative": prompt("blue"),
        "latents": empty(),
        **more,
    }


def staged(*stages: Stage, **more: Any) -> dict[str, Any]:
    return expand(StagedSampler(**ports(stages=stages, **more)))


def test_the_plain_sampler_is_one_stage() -> None:
    nodes = expand(Sampler(**ports(steps=7, guidance=3, solver="heun", sigmas="karras")))
    assert list(nodes) == ["start", "stage1", "finish"]
    leg = nodes["stage1"].leg
    assert (leg.steps, leg.total_steps, leg.enters) == (7, 7, None)
    assert (leg.solver, leg.sigmas, leg.guidance) == ("heun", "karras", ConstantGuidance(scale=3))


def test_strength_drops_the_first_steps_and_zero_drops_all() -> None:
    assert expand(Sampler(**ports(steps=10, strength=0.5)))["stage1"].leg.steps == 5
    assert list(expand(Sampler(**ports(strength=0)))) == ["start", "finish"]


def test_a_guided_stage_needs_a_negative_conditioning_and_an_unguided_one_drops_it() -> None:
    with pytest.raises(SamplingError) as caught:
        expand(Sampler(**ports(guidance=2, negative=None)))
    assert caught.value.code == "negative-missing"
    assert expand(Sampler(**ports(guidance=1)))["stage1"].negative is None


def test_steps_and_guidance_change_all_stages_of_a_staged_sampler() -> None:
    stages = (Stage(steps=4, guidance=LinearGuidance(start=8, end=4)), Stage(steps=16))
    as_written = staged(*stages)
    assert [as_written[name].leg.steps for name in ("stage1", "stage2")] == [4, 16]
    edited = staged(*stages, steps=10, guidance=15)
    assert [edited[name].leg.steps for name in ("stage1", "stage2")] == [2, 8]
    assert [edited[name].leg.total_steps for name in ("stage1", "stage2")] == [10, 10]
    assert edited["stage1"].leg.guidance == LinearGuidance(start=15, end=7)


@pytest.mark.parametrize("strength", [1.0, 0.7])
@pytest.mark.parametrize("ends", [{}, {"until": 0.5}, {"sigma_end": 4.0}])
@pytest.mark.parametrize(
    "last",
    [
        Stage(steps=4, solver="unipc", guidance=ConstantGuidance(scale=2)),
        Stage(steps=40),
        Stage(steps=1, sigmas="karras"),
    ],
)
def test_no_stage_knows_anything_about_the_stages_after_it(ends: Any, last: Stage, strength: float) -> None:
    def legs(last: Stage) -> list[Any]:
        nodes = staged(Stage(steps=8, **ends), last, strength=strength)
        return [nodes["start"].leg, nodes["stage1"].leg]

    assert legs(last) == legs(Stage(steps=12))


def test_stages_that_leave_nothing_of_the_schedule_are_refused_before_the_run() -> None:
    with pytest.raises(SamplingError, match="before step 20") as caught:
        staged(Stage(steps=20), Stage(steps=5))
    assert (caught.value.code, caught.value.problem.port) == ("stages-off-schedule", "stages")


def test_a_file_of_the_first_version_gets_a_schedule_of_all_its_steps() -> None:
    stages = [{"steps": 30, "solver": "heun"}, {}]
    assert StagedSampler.upgrade(1, {"stages": stages})["schedule_steps"] == 50
    assert StagedSampler.upgrade(1, {}) == {}


@pytest.mark.parametrize(
    "levels", [{"custom_sigmas": (10.0, 3.0, 1.0, 0.0)}, {"custom_timesteps": (900.0, 500.0, 100.0)}]
)
def test_levels_of_the_plain_sampler_are_those_of_a_stage_that_writes_them_out(levels: dict[str, Any]) -> None:
    plain = expand(Sampler(**ports(**levels)))["stage1"].leg
    (stage,) = (node.leg for name, node in staged(Stage(**levels), schedule_steps=3).items() if name == "stage1")
    assert plain == stage.model_copy(update={"guidance": plain.guidance})
    assert plain.total_steps == 3


def test_a_part_of_levels_that_are_written_out_is_a_slice_of_them() -> None:
    levels = (10.0, 3.0, 1.0, 0.0)
    leg = expand(AdvancedSampler(**ports(custom_sigmas=levels, first_step=1, last_step=2)))["stage"].leg
    assert (leg.custom_sigmas, leg.first_step, leg.steps) == (levels, 1, 1)


def test_a_shift_reaches_the_stage_and_none_changes_no_key() -> None:
    assert expand(Sampler(**ports(shift=3.0)))["stage1"].leg.shift == 3.0
    assert (
        expand(Sampler(**ports()))["stage1"].leg
        == expand(Sampler(**ports(shift=None, custom_sigmas=None)))["stage1"].leg
    )
