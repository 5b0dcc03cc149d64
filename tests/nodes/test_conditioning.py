"""The conditioning nodes, and what sampling makes of them on a tiny model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sdgraph_nodes.conditioning import AverageConditioning, CombineConditioning, ConcatConditioning, ZeroConditioning
from sdgraph_nodes.conditioning_limits import LimitToArea, LimitToMask, LimitToRange
from sdgraph_nodes.encode_text import EncodeText
from sdgraph_nodes.sampling import SampleFinish, SampleStage, SampleStart
from torch import Tensor

from sdgraph.core.infer import Known
from sdgraph.core.port import Link
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.errors import SamplingError
from sdgraph.models.facts import ConditioningFact
from sdgraph.payloads.conditioning import CONDITIONING, Conditioning, ConditioningEntry
from sdgraph.payloads.control import Control, ControlBranch
from sdgraph.payloads.mask import Mask
from sdgraph.payloads.sampling import SamplingState
from tests.nodes.pictures import noise
from tests.nodes.tiny_model import context, controlnet, empty, model, pool, prompt


def run(node: Any) -> Conditioning:
    return node.run(context()).conditioning


def combine(first: Conditioning, second: Conditioning) -> Conditioning:
    return run(CombineConditioning(first=first, second=second))


def masked(conditioning: Conditioning, values: Any, **more: Any) -> Conditioning:
    mask = Mask(np.broadcast_to(np.asarray(values, np.float32), (1, 1, 64, 64)).copy())
    return run(LimitToMask(conditioning=conditioning, mask=mask, **more))


def encode(text: str, **values: Any) -> Conditioning:
    return run(EncodeText(text_encoder=model().text_encoder, prompt=text, **values))


def sampled(
    positive: Conditioning, guidance: float = 4, steps: Any = (2,), batch: int = 1, **more: Any
) -> tuple[Tensor, int]:
    """The latents that a few steps end with, and the network evaluations that they took."""
    stages = [Stage(steps=n, guidance=ConstantGuidance(scale=guidance)) for n in steps]
    legs = plan_legs(stages)
    start: Any = SampleStart(denoiser=model().denoiser, latents=empty(batch), seed=3, leg=legs[0])
    state: SamplingState = start.run(context()).state
    negative = None if guidance == 1 else prompt("blue")
    for leg in legs:
        node: Any = SampleStage(
            denoiser=model().denoiser, positive=positive, negative=negative, state=state, leg=leg, **more
        )
        state = node.run(context()).state
    finish: Any = SampleFinish(state=state)
    return finish.run(context()).latents.samples, state.meta["nfe"]


LEFT = [1.0] * 32 + [0.0] * 32
RIGHT = [0.0] * 32 + [1.0] * 32


def test_neutral_settings_give_the_bits_and_the_cost_of_the_plain_path() -> None:
    plain = prompt("a star")
    neutral = [
        masked(plain, 1.0),
        masked(plain, 1.0, strength=0.3),
        run(LimitToArea(conditioning=plain, width=1.0, height=1.0)),
        run(LimitToRange(conditioning=plain)),
        run(AverageConditioning(first=plain, second=prompt("x"), share=1.0)),
        encode("[a star:a star:0.5]"),
    ]
    expected, evaluations = sampled(plain)
    for conditioning in neutral:
        found, nfe = sampled(conditioning)
        assert torch.equal(found, expected)
        assert nfe == evaluations == 4


def test_a_prompt_combined_with_itself_is_the_prompt() -> None:
    found, nfe = sampled(combine(prompt("a star"), prompt("a star")))
    assert torch.equal(found, sampled(prompt("a star"))[0])
    assert nfe == 4


def test_combined_prompts_cost_one_evaluation_each() -> None:
    items: list[int] = []
    with pool().lease(model().denoiser, "cpu") as unet:
        hook = unet.register_forward_pre_hook(lambda _, arguments: items.append(arguments[0].shape[0]))
        _, nfe = sampled(combine(prompt("a star"), prompt("a ring")))
        hook.remove()
    assert items == [3, 3]
    assert nfe == 6


def test_regions_differ_from_each_prompt_alone_and_do_not_depend_on_their_order() -> None:
    star, ring = masked(prompt("a star"), LEFT), masked(prompt("a ring"), RIGHT)
    found = sampled(combine(star, ring))[0]
    assert torch.allclose(found, sampled(combine(ring, star))[0], atol=1e-4)
    for alone in ("a star", "a ring"):
        assert not torch.allclose(found, sampled(prompt(alone))[0], atol=1e-3)


def test_after_one_step_each_region_is_that_of_its_own_prompt() -> None:
    regions = combine(masked(prompt("a star"), LEFT), masked(prompt("a ring"), RIGHT))
    found = sampled(regions, guidance=1, steps=(1,))[0]
    star, ring = (sampled(prompt(text), guidance=1, steps=(1,))[0] for text in ("a star", "a ring"))
    assert torch.allclose(found[..., :4], star[..., :4], atol=1e-5)
    assert torch.allclose(found[..., 4:], ring[..., 4:], atol=1e-5)


def test_a_picture_with_regions_does_not_depend_on_its_batch() -> None:
    regions = combine(masked(prompt("a star"), LEFT), run(LimitToArea(conditioning=prompt("a ring"), left=0.5)))
    batch, alone = sampled(regions, batch=3)[0], sampled(regions)[0]
    assert (batch[0] - alone[0]).abs().max() <= 2e-4


@pytest.mark.parametrize("text", ["a [red:blue:0.5] star", "[red|blue] star", "a [star:3] [x::2]"])
def test_a_split_in_two_stages_changes_an_edited_prompt_nowhere(text: str) -> None:
    edited = encode(text)
    whole, nfe = sampled(edited, steps=(6,))
    assert torch.equal(whole, sampled(edited, steps=(2, 4))[0])
    assert nfe == 12


def test_a_switch_is_the_first_text_then_the_second() -> None:
    edited = encode("[a star:a ring:1]")
    first, second = encode("[a star:a ring:2]"), encode("[a star:a ring:0]")
    assert torch.equal(sampled(first)[0], sampled(prompt("a star"))[0])
    assert torch.equal(sampled(second)[0], sampled(prompt("a ring"))[0])
    assert not torch.equal(sampled(edited)[0], sampled(prompt("a star"))[0])


def test_and_with_one_full_part_is_that_prompt_and_weights_add_up() -> None:
    plain, nfe = sampled(prompt("a star"))
    assert nfe == 4
    twice, more = sampled(encode("a star AND a star"), guidance=3)
    assert torch.allclose(twice, sampled(prompt("a star"), guidance=6)[0], atol=1e-4)
    assert more == 4  # both parts are one evaluation, because their text is one
    none = sampled(encode("a star AND a ring :0"))
    assert torch.allclose(none[0], plain, atol=1e-5)
    assert none[1] == 4
    both, evaluations = sampled(encode("a star AND a ring :0.6"))
    assert evaluations == 6
    assert not torch.allclose(both, plain, atol=1e-3)


def test_control_works_with_areas_which_see_their_part_of_it() -> None:
    control = Control((ControlBranch(controlnet(), noise(64, 64), strength=1.0),))
    area = run(LimitToArea(conditioning=prompt("a ring"), left=0.5))
    regions = combine(prompt("a star"), area)
    found, nfe = sampled(regions, control=control)
    assert nfe == 6
    assert not torch.allclose(found, sampled(regions)[0], atol=1e-3)


def test_concat_puts_vectors_behind_each_other_as_break_does() -> None:
    row = run(ConcatConditioning(first=prompt("a star"), second=prompt("a ring")))
    assert torch.equal(row.entries[0].embedding, encode("a star BREAK a ring").entries[0].embedding)
    with pytest.raises(SamplingError) as caught:
        run(ConcatConditioning(first=prompt("a star"), second=encode("[a|b]")))
    assert caught.value.code == "conditioning-entries"


def test_average_lies_between_two_prompts_of_any_length() -> None:
    short, long = prompt("a star"), encode("star " * 40)
    half = run(AverageConditioning(first=short, second=long, share=0.25)).entries[0].embedding
    assert half.shape == long.entries[0].embedding.shape
    expected = 0.25 * short.entries[0].embedding + 0.75 * long.entries[0].embedding[:, :77]
    assert torch.allclose(half[:, :77], expected, atol=1e-6)
    none = run(AverageConditioning(first=short, second=long, share=0.0)).entries[0].embedding
    assert torch.equal(none, long.entries[0].embedding)


def test_zero_out_leaves_the_shape_and_nothing_else() -> None:
    zero = run(ZeroConditioning(conditioning=prompt("a star"))).entries[0].embedding
    assert torch.equal(zero, torch.zeros(1, 77, 32))


def test_limits_reach_every_entry_and_strengths_multiply() -> None:
    both = combine(prompt("a star"), encode("[a|b]"))
    limited = run(LimitToRange(conditioning=masked(masked(both, LEFT, strength=0.5), RIGHT, strength=0.5), end=0.8))
    assert [entry.group for entry in limited.entries] == [0, 1, 1]
    assert {(entry.strength, entry.end) for entry in limited.entries} == {(0.25, 0.8)}
    assert CONDITIONING.codec is not None
    again = CONDITIONING.codec.decode(CONDITIONING.codec.encode(limited))
    for found, entry in zip(again.entries, limited.entries, strict=True):
        assert found.mask is not None
        assert entry.mask is not None
        assert np.array_equal(found.mask.values, entry.mask.values)
        assert (found.group, found.strength, found.end, found.windows) == (
            entry.group,
            entry.strength,
            entry.end,
            entry.windows,
        )


@pytest.mark.parametrize(
    ("node", "code", "at"),
    [
        (LimitToArea(conditioning=Link("a", "b"), left=1.0), "conditioning-area", "left"),
        (LimitToRange(conditioning=Link("a", "b"), start=0.5, end=0.5), "conditioning-range", "end"),
    ],
)
def test_a_limit_that_leaves_nothing_is_refused_before_the_run(node: Any, code: str, at: str) -> None:
    with pytest.raises(SamplingError) as caught:
        node.infer(Known())
    assert (caught.value.code, caught.value.problem.port) == (code, at)


@pytest.mark.parametrize("kind", [CombineConditioning, ConcatConditioning, AverageConditioning])
def test_conditionings_of_two_models_are_refused_before_the_run_and_in_it(kind: Any) -> None:
    known = Known({"first": ConditioningFact(32, 0), "second": ConditioningFact(64, 0)})
    with pytest.raises(SamplingError) as caught:
        kind(first=Link("a", "b"), second=Link("a", "b")).infer(known)
    assert (caught.value.code, caught.value.problem.port) == ("conditioning-width", "second")
    wide = Conditioning((ConditioningEntry(torch.zeros(1, 77, 64)),))
    with pytest.raises(SamplingError, match="64"):
        run(kind(first=prompt("a star"), second=wide))


def test_what_is_known_of_a_conditioning_goes_on() -> None:
    known = Known({"first": "fact", "conditioning": "fact"})
    assert CombineConditioning(first=Link("a", "b"), second=Link("a", "b")).infer(known) == {"conditioning": "fact"}
    assert LimitToArea(conditioning=Link("a", "b")).infer(known) == {"conditioning": "fact"}
