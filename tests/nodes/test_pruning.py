"""Pruning nodes: they say on a handle what is cut out, and a picture of the whole network is what it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sdgraph_nodes.pruning import PruneChannels, PruneHeads
from sdgraph_nodes.sampling import SampleFinish, SampleStage, SampleStart
from torch import Tensor

from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.guider_specs import AutoGuidanceSpec, PagSpec
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.payloads.handles import DenoiserHandle
from sdgraph.payloads.pruning import Pruning
from tests.nodes.tiny_model import context, empty, model, prompt

GUIDED = Stage(steps=2, guidance=ConstantGuidance(scale=4.0))


def without(kind: Any, share: float, denoiser: DenoiserHandle | None = None) -> DenoiserHandle:
    return kind(denoiser=denoiser or model().denoiser, share=share).run(context()).denoiser


def draw(denoiser: DenoiserHandle, stage: Stage = GUIDED, **more: Any) -> Tensor:
    """Latents [1, 4, 8, 8]."""
    [leg] = plan_legs((stage,))
    start: Any = SampleStart(denoiser=denoiser, latents=empty(1), seed=3, leg=leg)
    ports: Any = {"positive": prompt("a star"), "negative": prompt("blue"), "leg": leg, **more}
    node: Any = SampleStage(denoiser=denoiser, state=start.run(context()).state, **ports)
    finish: Any = SampleFinish(state=node.run(context()).state)
    return finish.run(context()).latents.samples


@pytest.mark.parametrize("kind", [PruneHeads, PruneChannels])
def test_a_share_of_0_is_the_handle_itself(kind: Any) -> None:
    assert without(kind, 0.0) == model().denoiser


def test_one_node_of_each_kind_add_up_and_the_later_one_of_a_kind_counts() -> None:
    both = without(PruneChannels, 0.25, without(PruneHeads, 0.5))
    assert both.pruning == Pruning(0.5, 0.25)
    assert without(PruneHeads, 0.0, both).pruning == Pruning(0.0, 0.25)


@pytest.mark.parametrize("kind", [PruneHeads, PruneChannels])
def test_the_whole_network_draws_the_same_picture_before_and_after(kind: Any) -> None:
    before = draw(model().denoiser)
    changed = draw(without(kind, 0.5))
    assert bool(changed.isfinite().all())
    assert not torch.equal(changed, before)
    assert torch.equal(draw(model().denoiser), before)


def test_perturbed_attention_guides_a_pruned_network() -> None:
    stage = GUIDED.model_copy(update={"guider": PagSpec()})
    denoiser = without(PruneHeads, 0.5)
    assert not torch.equal(draw(denoiser, stage), draw(denoiser))


def test_a_weaker_model_may_be_the_same_one_pruned() -> None:
    stage = GUIDED.model_copy(update={"guider": AutoGuidanceSpec()})
    whole = model().denoiser
    assert not torch.equal(draw(whole, stage, weak=without(PruneChannels, 0.5)), draw(whole, stage, weak=whole))
