from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import pytest
import torch
from sdgraph_nodes.sampler import Sampler
from sdgraph_nodes.sampling import SampleFinish, SampleStage, SampleStart
from torch import Tensor

from sdgraph.core.workflow import Workflow
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.names import SolverName
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.errors import ModelError, RunCancelled, SamplingError
from sdgraph.payloads.control import Control, ControlBranch
from sdgraph.payloads.latents import Latents, LatentSpace
from sdgraph.payloads.sampling import SamplingState
from tests.nodes.pictures import noise
from tests.nodes.tiny_model import context, controlnet, empty, model, pool, prompt


def guided_ports(**more: Any) -> Any:
    return {"denoiser": model().denoiser, "positive": prompt("a star"), "negative": prompt("blue"), **more}


def states(stages: Sequence[Stage], latents: Latents | None = None, seed: int = 3, **more: Any) -> list[SamplingState]:
    """The states after the start and after each stage."""
    legs = plan_legs(stages)
    chosen = empty() if latents is None else latents
    start: Any = SampleStart(denoiser=model().denoiser, latents=chosen, seed=seed, leg=legs[0])
    found = [start.run(context()).state]
    common = guided_ports(**more)
    for leg in legs:
        node: Any = SampleStage(**common, state=found[-1], leg=leg)
        found.append(node.run(context()).state)
    return found


def sample(stages: Sequence[Stage], **more: Any) -> Tensor:
    node: Any = SampleFinish(state=states(stages, **more)[-1])
    latents: Latents = node.run(context()).latents
    return latents.samples


def nfe(state: SamplingState) -> int:
    return state.meta["nfe"]


def test_the_result_has_the_shape_and_space_of_the_model() -> None:
    node: Any = SampleFinish(state=states([Stage(steps=2)], empty(2, 96, 48))[-1])
    latents: Latents = node.run(context()).latents
    assert tuple(latents.samples.shape) == (2, 4, 6, 12)
    assert latents.space == model().denoiser.space
    assert not latents.empty


@pytest.mark.parametrize("solver", get_args(SolverName))
def test_one_stage_equals_two_that_split_its_steps_bit_for_bit(solver: SolverName) -> None:
    guidance = ConstantGuidance(scale=4)
    whole = sample([Stage(steps=6, solver=solver, guidance=guidance)])
    parts = [Stage(steps=steps, solver=solver, guidance=guidance) for steps in (2, 4)]
    assert torch.equal(whole, sample(parts))


def test_a_guidance_of_one_costs_one_evaluation_per_step() -> None:
    assert nfe(states([Stage(steps=3, guidance=ConstantGuidance(scale=1))])[-1]) == 3
    assert nfe(states([Stage(steps=3, guidance=ConstantGuidance(scale=5))])[-1]) == 6


def test_the_forwards_that_are_counted_are_the_forwards_that_happen() -> None:
    items: list[int] = []
    with pool().lease(model().denoiser, "cpu") as unet:
        hook = unet.register_forward_pre_hook(lambda _, arguments: items.append(arguments[0].shape[0]))
        sample([Stage(steps=2, guidance=ConstantGuidance(scale=5)), Stage(steps=3, guidance=ConstantGuidance(scale=1))])
        hook.remove()
    assert items == [2, 2, 1, 1, 1]


def test_an_item_of_a_batch_is_the_picture_of_its_own_seed() -> None:
    stages = [Stage(steps=4, solver="euler_ancestral")]
    batch = sample(stages, latents=empty(3), seed=10)
    for item in range(3):
        alone = sample(stages, latents=empty(1), seed=10 + item)
        assert (batch[item] - alone[0]).abs().max() <= 2e-4


def test_latents_that_bring_seeds_keep_them() -> None:
    first, second = empty(2), empty(2)
    seeded = Latents(first.samples, first.space, seeds=(7, 5), empty=True)
    found = sample([Stage(steps=2)], latents=seeded, seed=0)
    assert (found[0] - sample([Stage(steps=2)], latents=second, seed=7)[0]).abs().max() <= 2e-4
    assert (found[1] - sample([Stage(steps=2)], latents=empty(1), seed=5)[0]).abs().max() <= 2e-4


def test_control_changes_the_picture_and_strength_zero_does_not() -> None:
    plain = sample([Stage(steps=2)])
    branch = ControlBranch(controlnet(), noise(64, 64), strength=1.0)
    assert not torch.equal(plain, sample([Stage(steps=2)], control=Control((branch,))))
    off = ControlBranch(controlnet(), noise(64, 64), strength=0.0)
    assert torch.equal(plain, sample([Stage(steps=2)], control=Control((off,))))


def test_sampling_reports_every_step_and_shows_previews_on_the_way() -> None:
    (leg,) = plan_legs([Stage(steps=10)])
    ctx = context()
    SampleStage(**guided_ports(), state=states([Stage(steps=10)])[0], leg=leg).run(ctx)
    assert ctx.reports == [(step, 10) for step in range(1, 11)]
    assert 1 <= len(ctx.previews) <= 5
    assert ctx.previews[0].pixels.shape == (1, 3, 64, 64)


def test_cancelling_ends_sampling_at_the_next_step() -> None:
    (leg,) = plan_legs([Stage(steps=10)])
    ctx = context(cancel_after=2)
    with pytest.raises(RunCancelled):
        SampleStage(**guided_ports(), state=states([Stage(steps=10)])[0], leg=leg).run(ctx)
    assert len(ctx.reports) == 2


def test_without_a_stage_the_latents_stay_as_they_are() -> None:
    given = Latents(torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), model().denoiser.space)
    start: Any = SampleStart(denoiser=model().denoiser, latents=given)
    finish: Any = SampleFinish(state=start.run(context()).state)
    assert torch.equal(finish.run(context()).latents.samples, given.samples)


def test_latents_of_another_space_are_refused() -> None:
    foreign = Latents(torch.zeros(1, 16, 8, 8), LatentSpace("flux", 16, 8, 0.3611))
    with pytest.raises(ModelError) as caught:
        states([Stage(steps=1)], foreign)
    assert caught.value.code == "latent-space-mismatch"


def expand(node: Any) -> dict[str, Any]:
    inner = Workflow()
    node.expand(inner)
    return inner.nodes


def common_ports(**more: Any) -> Any:
    return {"denoiser": model().denoiser, "positive": prompt("a star"), "latents": empty(), **more}


def test_the_plain_sampler_is_one_stage() -> None:
    nodes = expand(
        Sampler(**common_ports(negative=prompt("blue"), steps=7, guidance=3, solver="heun", sigmas="karras"))
    )
    assert list(nodes) == ["start", "stage1", "finish"]
    leg = nodes["stage1"].leg
    assert (leg.steps, leg.solver, leg.sigmas, leg.guidance) == (7, "heun", "karras", ConstantGuidance(scale=3))


def test_strength_drops_the_first_steps_and_zero_drops_all() -> None:
    half = expand(Sampler(**common_ports(negative=prompt("blue"), steps=10, strength=0.5)))
    assert half["stage1"].leg.steps == 5
    none = expand(Sampler(**common_ports(negative=prompt("blue"), strength=0)))
    assert list(none) == ["start", "finish"]


def test_a_guided_stage_needs_a_negative_conditioning_and_an_unguided_one_drops_it() -> None:
    with pytest.raises(SamplingError) as caught:
        expand(Sampler(**common_ports(guidance=2)))
    assert caught.value.code == "negative-missing"
    assert expand(Sampler(**common_ports(guidance=1, negative=prompt("blue"))))["stage1"].negative is None
