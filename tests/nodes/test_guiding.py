"""Every guider in the samplers, on a tiny real model."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from sdgraph_nodes.encode_text import EncodeText
from sdgraph_nodes.guiding import require_weak_match
from sdgraph_nodes.sampler import Sampler
from sdgraph_nodes.sampling import SampleFinish, SampleStage, SampleStart
from torch import Tensor

from sdgraph.core.workflow import Workflow
from sdgraph.diffusion.early_stop import EarlyStop
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.guider_specs import (
    AutoGuidanceSpec,
    CfgPlusPlusSpec,
    CfgSpec,
    GuiderSpec,
    PagSpec,
    SegSpec,
    SlgSpec,
)
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.errors import ModelError, SamplingError
from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.pool import ModelPool
from sdgraph.models.source import resolve
from sdgraph.payloads.control import Control, ControlBranch
from sdgraph.payloads.image import Image
from sdgraph.payloads.sampling import SamplingState
from tests.nodes.pictures import noise
from tests.nodes.tiny_model import context, controlnet, empty, model, pool, prompt
from tests.toys import RecordingContext

SPECS: tuple[GuiderSpec, ...] = tuple(kind() for kind in get_args(get_args(GuiderSpec)[0]))
"""Each guider with its defaults."""


def kind(spec: GuiderSpec) -> str:
    return spec.kind


def staged(spec: GuiderSpec, *steps: int, scale: float = 4.0, early_stop: EarlyStop | None = None) -> list[Stage]:
    guidance = ConstantGuidance(scale=0.7 if spec.kind == "cfg_pp" else scale)
    return [Stage(steps=count, guidance=guidance, guider=spec, early_stop=early_stop) for count in steps]


def run(stages: list[Stage], batch: int = 1, ctx: RecordingContext | None = None, **more: Any) -> SamplingState:
    legs = plan_legs(stages)
    start: Any = SampleStart(denoiser=model().denoiser, latents=empty(batch), seed=3, leg=legs[0])
    state = start.run(context()).state
    ports: Any = {"denoiser": model().denoiser, "positive": prompt("a star"), "negative": prompt("blue"), **more}
    for leg in legs:
        node: Any = SampleStage(**ports, state=state, leg=leg)
        state = node.run(ctx or context()).state
    return state


def latents(state: SamplingState) -> Tensor:
    node: Any = SampleFinish(state=state)
    return node.run(context()).latents.samples


def items_seen(stages: list[Stage], **more: Any) -> tuple[SamplingState, int]:
    """The state, and how many pictures went through the network."""
    seen: list[int] = []
    with pool().lease(model().denoiser, "cpu") as unet:
        hook = unet.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].shape[0]))
        state = run(stages, **more)
        hook.remove()
    return state, sum(seen)


@pytest.mark.parametrize("spec", SPECS, ids=kind)
def test_every_guider_draws_a_picture_of_its_own_at_the_cost_that_it_says(spec: GuiderSpec) -> None:
    state, items = items_seen(staged(spec, 4))
    found = latents(state)
    assert bool(found.isfinite().all())
    assert torch.equal(found, latents(run(staged(CfgSpec(), 4)))) == (spec.kind in ("cfg", "slg"))
    assert state.meta["nfe"] == items


@pytest.mark.parametrize("spec", SPECS, ids=kind)
def test_one_stage_equals_two_that_split_its_steps_bit_for_bit(spec: GuiderSpec) -> None:
    if spec.kind == "cfg_zero_star":
        spec = spec.model_copy(update={"zero_init_steps": 0})  # these are counted from the start of each stage
    if isinstance(spec, SlgSpec):
        spec = SlgSpec(start=0, stop=1)
    whole, parts = run(staged(spec, 5)), run(staged(spec, 2, 3))
    assert torch.equal(latents(whole), latents(parts))
    assert whole.meta["nfe"] == parts.meta["nfe"]


@pytest.mark.parametrize("spec", SPECS, ids=kind)
def test_a_picture_does_not_depend_on_its_batch(spec: GuiderSpec) -> None:
    together, alone = run(staged(spec, 3), batch=3), run(staged(spec, 3))
    assert float((latents(together)[0] - latents(alone)[0]).abs().max()) <= 2e-4


@pytest.mark.parametrize("spec", SPECS, ids=kind)
def test_previews_are_shown_with_every_guider(spec: GuiderSpec) -> None:
    ctx = context()
    run(staged(spec, 6), ctx=ctx)
    assert ctx.reports == [(step, 6) for step in range(1, 7)]
    assert len(ctx.previews) == 5
    assert all(preview.pixels.shape == (1, 3, 64, 64) for preview in ctx.previews)


@pytest.mark.parametrize("spec", [PagSpec(scale=0), SegSpec(blur_sigma=0), SlgSpec(stop=0.01)], ids=kind)
def test_what_is_off_is_plain_guidance_bit_for_bit_and_costs_no_forward(spec: GuiderSpec) -> None:
    state, items = items_seen(staged(spec, 4))
    assert torch.equal(latents(state), latents(run(staged(CfgSpec(), 4))))
    assert items == 8


def test_layers_that_the_model_does_not_have_are_one_clear_error() -> None:
    with pytest.raises(ModelError, match=r"no block called `blocks\.7`") as caught:
        run(staged(PagSpec(layers=("blocks.7",)), 2))
    assert caught.value.code == "attention-layers"


def test_a_weaker_model_guides_and_is_loaded_for_autoguidance_alone(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(resolve(model().denoiser.source), tmp_path / "copy"))
    config = copy / "unet" / "config.json"
    config.write_text(config.read_text().replace("{", '{"_note": "another model", ', 1))
    weak = read_checkpoint(str(copy)).denoiser  # the same weights, in a place of their own
    before = pool().load_count
    run(staged(CfgSpec(), 2), weak=weak)
    assert pool().load_count == before
    same = run(staged(AutoGuidanceSpec(), 2), weak=weak)
    assert pool().load_count == before + 1
    unguided = run(staged(CfgSpec(), 2, scale=1.0))
    assert float((latents(same) - latents(unguided)).abs().max()) <= 1e-5  # strong and weak agree
    assert same.meta["nfe"] == 4


def test_a_weaker_model_of_another_kind_is_refused() -> None:
    other = replace(model().denoiser, conditioning_width=768, source="other")
    with pytest.raises(ModelError, match="`other` works on sd1 latents with 768-wide") as caught:
        require_weak_match(model().denoiser, other)
    assert caught.value.code == "weak-mismatch"


def expanded(**ports: Any) -> dict[str, Any]:
    inner = Workflow()
    Sampler(denoiser=model().denoiser, positive=prompt("a star"), latents=empty(), **ports).expand(inner)
    return inner.nodes


def test_the_sampler_hands_its_guider_and_early_stop_to_its_stage() -> None:
    stop = EarlyStop(threshold=0.05)
    (leg,) = (
        node.leg
        for name, node in expanded(negative=prompt("blue"), guider=PagSpec(scale=2), early_stop=stop).items()
        if name == "stage1"
    )
    assert (leg.guider, leg.early_stop) == (PagSpec(scale=2), stop)


def test_autoguidance_needs_no_negative_and_cfg_pp_needs_one_even_at_one() -> None:
    assert expanded(guider=AutoGuidanceSpec(), negative=prompt("blue"))["stage1"].negative is None
    with pytest.raises(SamplingError) as caught:
        expanded(guider=CfgPlusPlusSpec(), guidance=1)
    assert caught.value.code == "negative-missing"


def test_a_weaker_model_is_no_part_of_a_stage_that_does_not_ask_for_it() -> None:
    given = {"negative": prompt("blue"), "weak": model().denoiser}
    assert expanded(guider=CfgSpec(), **given)["stage1"].weak is None
    assert expanded(guider=AutoGuidanceSpec(), **given)["stage1"].weak == model().denoiser


def test_a_solver_that_cfg_pp_has_no_formula_for_is_refused_before_anything_runs() -> None:
    with pytest.raises(SamplingError) as caught:
        expanded(guider=CfgPlusPlusSpec(), solver="heun", negative=prompt("blue"))
    assert caught.value.code == "guider-solver"


def test_an_early_stop_saves_evaluations_and_says_how_many() -> None:
    rule = EarlyStop(threshold=1, patience=1, min_steps=3)
    full = run(staged(CfgSpec(), 12), batch=2)
    early, items = items_seen(staged(CfgSpec(), 12, early_stop=rule), batch=2)
    stops = early.meta["stopped"]
    assert {stop["item"] for stop in stops} == {0, 1}
    assert all(3 <= stop["step"] < 12 for stop in stops)
    assert {stop["nfe"] + stop["saved"] for stop in stops} == {full.meta["nfe"]}
    assert items == sum(stop["nfe"] for stop in stops)
    assert latents(early).shape == latents(full).shape


def test_the_run_hears_what_an_early_stop_has_saved() -> None:
    ctx = context()
    state = run(staged(CfgSpec(), 12, early_stop=EarlyStop(threshold=1, patience=1, min_steps=3)), ctx=ctx)
    (stop,) = state.meta["stopped"]
    assert ctx.reports[-1] == (12, 12)
    assert ctx.notes == [f"1 of 1 finished early, which saves {stop['saved']} network evaluations so far"]


def test_control_pictures_of_a_batch_stay_with_their_items_when_one_finishes() -> None:
    rule = EarlyStop(threshold=1, patience=1, min_steps=3)
    pictures = Image(np.concatenate([noise(64, 64).pixels, 1 - noise(64, 64).pixels]))
    branches = [ControlBranch(controlnet(), image) for image in (pictures, Image(pictures.pixels[:1]))]
    together = run(staged(CfgSpec(), 8, early_stop=rule), batch=2, control=Control((branches[0],)))
    alone = run(staged(CfgSpec(), 8, early_stop=rule), control=Control((branches[1],)))
    assert float((latents(together)[0] - latents(alone)[0]).abs().max()) <= 2e-4
    assert len(together.meta["stopped"]) == 2


def test_a_setting_for_attention_that_cannot_be_followed_is_a_warning() -> None:
    ctx = RecordingContext(ModelPool(attention="xformers"))
    run(staged(CfgSpec(), 2), ctx=ctx)
    (problem,) = ctx.warnings
    assert (problem.code, problem.severity) == ("attention-fallback", "warning")
    assert "the package xformers is not installed; AttnProcessor2_0 is used" in problem.message


@pytest.mark.parametrize("family", ["sd3", "flux", "sdxl"])
@pytest.mark.parametrize("spec", [PagSpec(), SegSpec(), SlgSpec(start=0, stop=1)], ids=kind)
def test_perturbed_attention_reaches_the_models_of_other_families(family: str, spec: GuiderSpec) -> None:
    checkpoint = read_checkpoint(f"synthetic:{family}-tiny")
    encode: Any = EncodeText(text_encoder=checkpoint.text_encoder, prompt="a star")
    text = encode.run(context()).conditioning
    (leg,), (plain,) = (plan_legs(staged(guider, 2, scale=1.0)) for guider in (spec, CfgSpec()))
    start: Any = SampleStart(denoiser=checkpoint.denoiser, latents=empty(), seed=3, leg=leg)
    state = start.run(context()).state
    found: list[Tensor] = []
    for each in (leg, plain):
        node: Any = SampleStage(denoiser=checkpoint.denoiser, positive=text, state=state, leg=each)
        found.append(latents(node.run(context()).state))
    assert bool(found[0].isfinite().all())
    assert float((found[0] - found[1]).abs().max()) > 1e-4
