"""Samplers in chains: parts of a schedule, and two models that share the work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl_img2img import (
    StableDiffusionXLImg2ImgPipeline,
)
from sdgraph_nodes.encode_text import EncodeText
from sdgraph_nodes.pack import PACK
from sdgraph_nodes.sampler import StagedSampler
from sdgraph_nodes.sampler_advanced import AdvancedSampler
from sdgraph_nodes.sampling import SampleFinish, SampleStage, SampleStart
from torch import Tensor

from sdgraph.core.node import Node
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.diffusion.guidance_schedule import ConstantGuidance, LinearGuidance
from sdgraph.diffusion.stage import Stage
from sdgraph.errors import ModelError, SamplingError
from sdgraph.models.checkpoint import Checkpoint, read_checkpoint
from sdgraph.models.quiet import quiet
from sdgraph.models.source import resolve
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.latents import Latents
from tests.nodes.inpainting import box, encode
from tests.nodes.tiny_model import context, empty, model, prompt

REGISTRY = Registry([PACK])
GUIDANCE = ConstantGuidance(scale=4)


def ports(**more: Any) -> Any:
    return {"denoiser": model().denoiser, "positive": prompt("a star"), "negative": prompt("blue"), **more}


def run(node: Node[Any]) -> dict[str, Any]:
    """What the nodes give into which a sampler expands, by name of the output; `stages` has the last state."""
    inner = Workflow()
    node.expand(inner)
    found: dict[tuple[str, str], Any] = {}
    state = None
    for name, part in inner.nodes.items():
        fields = {port: getattr(part, port) for port in type(part).model_fields}
        given = {
            port: found[value.node, value.port] if hasattr(value, "ref") else value for port, value in fields.items()
        }
        out: Any = type(part)(**given).run(context())
        for port in out.__ports__:
            found[name, port] = getattr(out, port)
        state = getattr(out, "state", state)
    return {"latents": found["finish", "latents"], "state": state}


def expanded(**more: Any) -> dict[str, Any]:
    """The nodes of an advanced sampler."""
    inner = Workflow()
    AdvancedSampler(**ports(**more)).expand(inner)
    return inner.nodes


def part(**more: Any) -> dict[str, Any]:
    return run(AdvancedSampler(**ports(**{"guidance": 4.0, "steps": 6, "seed": 3, **more})))


def staged(*stages: Stage, **more: Any) -> Latents:
    given = ports(**{"latents": empty(), "seed": 3, **more})
    return run(StagedSampler(stages=stages, schedule_steps=6, **given))["latents"]


@pytest.mark.parametrize("solver", ["dpmpp_2m", "euler_ancestral"])
def test_a_chain_of_parts_is_the_whole_schedule_bit_for_bit(solver: Any) -> None:
    whole = part(latents=empty(), solver=solver)["latents"]
    first = part(latents=empty(), solver=solver, last_step=2)
    second = part(state=first["state"], solver=solver, first_step=2)
    assert torch.equal(second["latents"].samples, whole.samples)
    assert not torch.equal(first["latents"].samples, whole.samples)


def test_the_whole_schedule_is_what_the_staged_sampler_draws() -> None:
    whole = part(latents=empty(), solver="unipc")["latents"]
    assert torch.equal(whole.samples, staged(Stage(steps=6, solver="unipc", guidance=GUIDANCE)).samples)


def test_guidance_may_take_a_course_over_the_part() -> None:
    course = LinearGuidance(start=4, end=1)
    nodes = expanded(latents=empty(), guidance_schedule=course)
    assert nodes["stage"].leg.guidance == course


def test_ranges_of_noise_levels_make_a_chain_too() -> None:
    first = part(latents=empty(), sigma_end=2.0, steps=3)
    assert first["state"].meta["sigma"] == 2.0
    second = part(state=first["state"], sigma_start=2.0, steps=3)
    assert second["state"].meta["sigma"] == 0
    stages = [Stage(steps=3, sigma_end=2.0, guidance=GUIDANCE), Stage(steps=3, guidance=GUIDANCE)]
    assert torch.equal(second["latents"].samples, staged(*stages).samples)


def test_without_leftover_noise_the_last_step_removes_all_of_it() -> None:
    stopped = part(latents=empty(), last_step=3, leftover_noise=False)
    assert stopped["state"].meta["sigma"] == 0
    assert stopped["state"].meta["step"] == 3


def test_without_added_noise_the_latents_are_the_signal() -> None:
    given = replace(encode(box()), mask=None)
    start: Any = {"denoiser": model().denoiser, "latents": given, "seed": 3}
    nodes = expanded(latents=given, add_noise=False, first_step=4, steps=6)
    leg = nodes["start"].leg
    state: Any = SampleStart(**start, leg=leg, add_noise=False)
    assert torch.equal(state.run(context()).state.tensors["x"], given.samples)
    noisy: Any = SampleStart(**start, leg=leg)
    assert not torch.equal(noisy.run(context()).state.tensors["x"], given.samples)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({}, "sampling-without-beginning"),
        ({"latents": empty(), "first_step": 4, "last_step": 4}, "steps-of-schedule"),
        ({"latents": empty(), "first_step": 6}, "steps-of-schedule"),
        ({"latents": empty(), "first_step": 1, "sigma_end": 2.0}, "part-ambiguous"),
        ({"latents": empty(), "sigma_start": 1.0, "sigma_end": 2.0}, "sigma-range"),
        ({"latents": empty(), "negative": None}, "negative-missing"),
    ],
)
def test_parts_that_can_not_be_are_refused_before_the_run(more: dict[str, Any], code: str) -> None:
    with pytest.raises(SamplingError) as caught:
        AdvancedSampler(**ports(**{"steps": 6, **more})).expand(Workflow())
    assert caught.value.code == code


def test_finished_latents_are_not_sampled_on() -> None:
    finished = part(latents=empty())
    with pytest.raises(SamplingError) as caught:
        part(state=finished["state"])
    assert caught.value.code == "nothing-to-denoise"


def encoded(checkpoint: Checkpoint, text: str) -> Conditioning:
    node: Any = EncodeText(text_encoder=checkpoint.text_encoder, prompt=text)
    return node.run(context()).conditioning


def xl_staged(base: Checkpoint, refiner: Checkpoint) -> Tensor:
    stages = (
        Stage(steps=8, until=0.8, guidance=GUIDANCE),
        Stage(steps=2, guidance=GUIDANCE, model="refiner"),
    )
    node = StagedSampler(
        denoiser=base.denoiser,
        positive=encoded(base, "a star"),
        negative=encoded(base, "blue"),
        latents=empty(),
        refiner=refiner.denoiser,
        refiner_positive=encoded(refiner, "a star"),
        refiner_negative=encoded(refiner, "blue"),
        stages=stages,
        schedule_steps=10,
        seed=3,
    )
    return run(node)["latents"].samples


def xl_by_diffusers() -> Tensor:
    common: dict[str, Any] = {"prompt": "a star", "negative_prompt": "blue", "guidance_scale": 4.0}
    common |= {"num_inference_steps": 10, "output_type": "latent"}
    with quiet():
        base: Any = StableDiffusionXLPipeline.from_pretrained(str(resolve("synthetic:sdxl-tiny")))
        refiner: Any = StableDiffusionXLImg2ImgPipeline.from_pretrained(
            str(resolve("synthetic:sdxl_refiner-tiny")), requires_aesthetics_score=True
        )
    for pipeline in (base, refiner):
        pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(3)
    handed = base(height=64, width=64, denoising_end=0.8, generator=generator, **common).images
    return refiner(image=handed, denoising_start=0.8, original_size=(64, 64), target_size=(64, 64), **common).images


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_refiner_takes_over_from_sdxl_as_in_diffusers() -> None:
    base, refiner = read_checkpoint("synthetic:sdxl-tiny"), read_checkpoint("synthetic:sdxl_refiner-tiny")
    assert float((xl_staged(base, refiner) - xl_by_diffusers()).abs().max()) <= 1e-4


def test_a_model_that_takes_over_starts_without_the_memory_of_the_other() -> None:
    other = replace(model().denoiser, fingerprint="another")
    first = part(latents=empty(), solver="dpmpp_2m", last_step=3)
    state = first["state"]
    assert state.model == model().denoiser.fingerprint
    nodes = expanded(state=state, guidance=4.0, steps=6, first_step=3, solver="dpmpp_2m")
    stage = nodes["stage"]
    continued = stage._start("cpu")
    fresh = stage.model_copy(update={"denoiser": other})._start("cpu")
    assert continued.history.outputs
    assert not fresh.history.outputs
    assert torch.equal(continued.x, fresh.x)


def test_two_checkpoints_of_one_latent_space_share_a_picture_and_the_text() -> None:
    second = read_checkpoint("synthetic:sd15-tiny", prediction="v_prediction").denoiser
    stages = (Stage(steps=3, guidance=GUIDANCE), Stage(steps=3, guidance=GUIDANCE, model="refiner"))
    alone = staged(*(stage.model_copy(update={"model": "base"}) for stage in stages))
    assert not torch.equal(staged(*stages, refiner=second).samples, alone.samples)
    assert torch.equal(staged(*stages, refiner=model().denoiser).samples, alone.samples)


def test_a_stage_for_a_refiner_that_is_not_there_is_refused_before_the_run() -> None:
    with pytest.raises(SamplingError) as caught:
        staged(Stage(steps=6, model="refiner"))
    assert (caught.value.code, caught.value.problem.port) == ("refiner-missing", "refiner")


def test_a_refiner_of_another_latent_space_is_refused() -> None:
    stages = (Stage(steps=3, guidance=GUIDANCE), Stage(steps=3, guidance=GUIDANCE, model="refiner"))
    with pytest.raises(ModelError) as caught:
        staged(*stages, refiner=read_checkpoint("synthetic:sdxl-tiny").denoiser)
    assert caught.value.code == "latent-space-mismatch"


def test_what_expands_is_made_of_the_usual_parts() -> None:
    nodes = expanded(latents=empty())
    assert [type(node) for node in nodes.values()] == [SampleStart, SampleStage, SampleFinish]
