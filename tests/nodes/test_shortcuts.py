"""Merged tokens and reused features: what they leave out, and what they leave as it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from sdgraph_nodes.lora import DenoiserLora
from sdgraph_nodes.sampling import SampleFinish, SampleStage, SampleStart
from sdgraph_nodes.shortcuts import MergeTokens, ReuseFeatures
from torch import Tensor

from sdgraph.diffusion.early_stop import EarlyStop
from sdgraph.diffusion.guidance_schedule import ConstantGuidance, IntervalGuidance
from sdgraph.diffusion.guider_specs import AutoGuidanceSpec, PagSpec, SegSpec
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.compose import Sampling, open_model
from sdgraph.models.memory.thrift import more_thrift
from sdgraph.models.pruning.pruned import with_pruning
from sdgraph.models.shortened import with_shortcuts
from sdgraph.models.streaming import Streamed
from sdgraph.models.token_merging import find_merge
from sdgraph.payloads.conditioning import Conditioning, ConditioningEntry
from sdgraph.payloads.control import Control, ControlBranch
from sdgraph.payloads.handles import DENOISER, DenoiserHandle
from sdgraph.payloads.latents import Latents
from sdgraph.payloads.shortcuts import Shortcuts
from tests.models.control_loop import picture
from tests.models.test_ip_adapters import branch
from tests.nodes.pictures import noise
from tests.nodes.tiny_model import SOURCE, context, controlnet, empty, model, pool, prompt
from tests.toys import RecordingContext
from tests.workflows.small_files import tiny_lora

GUIDED = Stage(steps=7, guidance=ConstantGuidance(scale=4.0))


def reusing(every: int = 3, layers: int = 1, denoiser: DenoiserHandle | None = None) -> DenoiserHandle:
    node: Any = ReuseFeatures(denoiser=denoiser or model().denoiser, every=every, layers=layers)
    return node.run(context()).denoiser


def merging(share: float = 0.5, levels: int = 1, denoiser: DenoiserHandle | None = None) -> DenoiserHandle:
    node: Any = MergeTokens(denoiser=denoiser or model().denoiser, share=share, levels=levels)
    return node.run(context()).denoiser


def draw(
    denoiser: DenoiserHandle,
    *stages: Stage,
    latents: Latents | None = None,
    ctx: RecordingContext | None = None,
    **more: Any,
) -> Tensor:
    """Latents [B, 4, 8, 8]."""
    legs = plan_legs(stages or (GUIDED,))
    start: Any = SampleStart(denoiser=denoiser, latents=latents or empty(1), seed=3, leg=legs[0])
    state = start.run(context()).state
    ports: Any = {"positive": prompt("a star"), "negative": prompt("blue"), **more}
    for leg in legs:
        node: Any = SampleStage(denoiser=denoiser, state=state, leg=leg, **ports)
        state = node.run(ctx or context()).state
    finish: Any = SampleFinish(state=state)
    return finish.run(context()).latents.samples


@contextmanager
def counted_calls(kind: type[Any]) -> Generator[Counter[str]]:
    """How often modules of a kind are called within the `with` block, by name."""
    calls: Counter[str] = Counter()
    with pool().lease(model().denoiser, "cpu") as unet:
        hooks = [
            module.register_forward_pre_hook(partial(_count, calls, name))
            for name, module in unet.named_modules()
            if isinstance(module, kind)
        ]
        try:
            yield calls
        finally:
            for hook in hooks:
                hook.remove()


def _count(calls: Counter[str], name: str, *_: object) -> None:
    calls[name] += 1


def conv_calls(denoiser: DenoiserHandle, stage: Stage = GUIDED) -> int:
    with counted_calls(torch.nn.Conv2d) as calls:
        draw(denoiser, stage)
    return calls.total()


def test_off_is_the_handle_itself_so_nothing_changes() -> None:
    assert reusing(every=1, layers=3) == merging(share=0.0, levels=3) == model().denoiser


def test_what_a_shortcut_changed_comes_back_bit_for_bit() -> None:
    before = draw(model().denoiser)
    assert not torch.equal(draw(reusing()), before)
    assert not torch.equal(draw(merging()), before)
    assert torch.equal(draw(model().denoiser), before)
    with pool().lease(model().denoiser, "cpu") as unet:
        assert not [name for name, module in unet.named_modules() if "forward" in module.__dict__]


def test_the_deep_layers_run_at_every_third_step_only() -> None:
    with counted_calls(torch.nn.Module) as calls:
        draw(reusing(every=3))  # 7 steps, of which 0, 3 and 6 are whole; both conditionings in one call
    assert calls["mid_block"] == 3
    assert calls["conv_out"] == 7
    decoder = [calls[name] for name in sorted(calls) if re.fullmatch(r"up_blocks\.\d+\.resnets\.\d+", name)]
    assert decoder == [3] * (len(decoder) - 1) + [7]
    blocks = [calls[name] for name in sorted(calls) if re.fullmatch(r"(down|up)_blocks\.\d+", name)]
    assert blocks == [7, *[3] * (len(blocks) - 2), 7]  # weights that wait for a block's call are there at each step


def test_more_outer_layers_cost_more_and_are_nearer_to_the_whole() -> None:
    whole = draw(model().denoiser)
    costs = [conv_calls(reusing(layers=layers)) for layers in (1, 2, 3)]
    assert costs == sorted(costs)
    assert costs[0] < 0.6 * conv_calls(model().denoiser)
    near, far = (float((draw(reusing(layers=layers)) - whole).abs().mean()) for layers in (3, 1))
    assert near < far


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("controlled", [False, True])
def test_outer_layers_over_fresh_features_are_the_whole_network_bit_for_bit(layers: int, controlled: bool) -> None:
    """Two evaluations at one place: the second one reuses what the first one has set aside."""
    sampling = Sampling()
    control = Control((ControlBranch(controlnet(), noise(64, 64), 0.8),)) if controlled else None
    x, sigma = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(5)), torch.tensor([3.0, 3.0])
    prompts = (prompt("a star"), prompt("blue"))
    with open_model(pool(), reusing(every=5, layers=layers), control, "cpu", None, sampling) as shortened:
        whole = shortened.denoise(x, sigma, prompts)
        sampling.step = 1
        again = shortened.denoise(x, sigma, prompts)
        reuse = shortened.shortcuts.reuse
    assert reuse is not None
    assert (reuse.whole, reuse.outer) == (4, 4)
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))


def test_a_picture_does_not_depend_on_its_batch() -> None:
    for denoiser in (reusing(), merging()):
        together = draw(denoiser, latents=empty(3))
        alone = draw(denoiser, latents=empty(1))
        assert float((together[:1] - alone).abs().max()) <= 2e-5


def test_a_picture_that_finishes_early_changes_nothing_for_the_others() -> None:
    stop = Stage(steps=9, guidance=ConstantGuidance(scale=4.0), early_stop=EarlyStop(threshold=0.6, min_steps=2))
    ctx = context()
    together = draw(reusing(), stop, latents=empty(3), ctx=ctx)
    assert "finished early" in ctx.notes[-1]
    for item, seed in enumerate((3, 4, 5)):
        legs = plan_legs((stop,))
        start: Any = SampleStart(denoiser=model().denoiser, latents=empty(1), seed=seed, leg=legs[0])
        node: Any = SampleStage(
            denoiser=reusing(),
            positive=prompt("a star"),
            negative=prompt("blue"),
            state=start.run(context()).state,
            leg=legs[0],
        )
        finish: Any = SampleFinish(state=node.run(context()).state)
        alone = finish.run(context()).latents.samples
        assert float((together[item] - alone[0]).abs().max()) <= 1e-4  # of values up to 14


def test_a_prompt_that_comes_in_between_is_evaluated_as_a_whole() -> None:
    """Guidance begins at step 1, so the negative prompt is first asked about where others are reused."""
    late = Stage(steps=7, guidance=IntervalGuidance(scale=4.0, start=0.1))
    with counted_calls(torch.nn.Module) as calls:
        draw(reusing(every=3), late)
    assert calls["mid_block"] == 4  # steps 0, 3 and 6, and step 1


def test_memory_that_is_short_changes_nothing_of_what_is_reused() -> None:
    """One by one, the prompt that is known would be reused beside the one that comes in between."""
    late = Stage(steps=7, guidance=IntervalGuidance(scale=4.0, start=0.1))
    plenty = draw(reusing(every=3), late)
    with more_thrift(one_at_a_time=True), counted_calls(torch.nn.Module) as calls:
        sparing = draw(reusing(every=3), late)
    assert calls["mid_block"] == 1 + 2 + 2 + 2  # both prompts at steps 1, 3 and 6
    torch.testing.assert_close(sparing, plenty, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("spec", [PagSpec(), SegSpec(), AutoGuidanceSpec()], ids=lambda spec: spec.kind)
@pytest.mark.parametrize("denoiser", [reusing, merging], ids=["reuse", "merge"])
def test_guiders_that_perturb_the_network_keep_their_effect(spec: Any, denoiser: Any) -> None:
    guided = replace_guider(spec)
    assert not torch.equal(draw(denoiser(), guided), draw(denoiser()))
    assert bool(draw(denoiser(), guided).isfinite().all())


def replace_guider(spec: Any) -> Stage:
    return GUIDED.model_copy(update={"guider": spec})


def test_a_weaker_model_may_be_the_same_one_with_a_shortcut() -> None:
    """Both are one network in memory, and the shortcut is taken by the weaker one alone."""
    auto = replace_guider(AutoGuidanceSpec())
    for weak in (merging(0.75, 4), reusing(every=7)):
        assert not torch.equal(
            draw(model().denoiser, auto, weak=weak), draw(model().denoiser, auto, weak=model().denoiser)
        )


def test_tiles_keep_their_own_features() -> None:
    wide = empty(1, width_px=128)
    tiled = draw(reusing(), latents=wide, tile_px=64, overlap_px=32)
    assert tiled.shape[-1] == 16
    assert bool(tiled.isfinite().all())
    assert not torch.equal(tiled, draw(model().denoiser, latents=wide, tile_px=64, overlap_px=32))


def test_the_run_hears_how_often_features_were_reused() -> None:
    ctx = context()
    draw(reusing(), ctx=ctx)
    assert ctx.notes == ["8 of 14 network evaluations reused deep features"]


def seen_by_attention(denoiser: DenoiserHandle, height: int, width: int) -> dict[str, int]:
    """How many tokens of latents [1, 4, height, width] self-attention sees on the way down, by the part of the UNet."""
    seen: dict[str, int] = {}

    def look(name: str, _: object, args: tuple[Tensor, ...]) -> None:
        seen[name] = args[0].shape[1]

    with open_model(pool(), denoiser) as opened:
        parts = re.compile(r"(down_blocks\.\d|mid_block)\.attentions\.0\.transformer_blocks\.0\.attn1\.to_q")
        found = ((parts.fullmatch(name), module) for name, module in opened.network.module.named_modules())
        hooks = [module.register_forward_pre_hook(partial(look, part[1])) for part, module in found if part]
        entry = ConditioningEntry(
            torch.zeros(1, 77, denoiser.conditioning_width), torch.zeros(1, denoiser.pooled_width or 1)
        )
        opened.denoise(torch.ones(1, 4, height, width), torch.ones(1), (Conditioning((entry,)),))
        for hook in hooks:
            hook.remove()
    return seen


def test_half_of_the_tokens_are_half_of_the_tokens() -> None:
    assert seen_by_attention(merging(share=0.5), 8, 8) == {"down_blocks.0": 32, "mid_block": 16}
    assert seen_by_attention(merging(share=0.5, levels=2), 8, 8) == {"down_blocks.0": 32, "mid_block": 8}


def test_the_level_with_the_most_tokens_is_the_first_one_that_has_attention() -> None:
    """The first level of SDXL has none."""
    sdxl = read_checkpoint("synthetic:sdxl-tiny").denoiser
    assert seen_by_attention(sdxl, 16, 16) == {"down_blocks.1": 64, "mid_block": 64}
    assert seen_by_attention(merging(share=0.5, denoiser=sdxl), 16, 16) == {"down_blocks.1": 32, "mid_block": 32}


@pytest.mark.parametrize(("levels", "deeper"), [(1, 9), (2, 5)])
def test_levels_are_counted_at_odd_sizes_too(levels: int, deeper: int) -> None:
    """Halving 5 gives 3, which is more than half."""
    assert seen_by_attention(merging(0.5, levels), 5, 5) == {"down_blocks.0": 13, "mid_block": deeper}


def test_merged_tokens_are_averaged_and_get_one_answer() -> None:
    tokens = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [0.1, 0.9]]])  # 2 x 2 of which the first is the target
    merge = find_merge(tokens, 2, 2, share=0.25)
    assert merge is not None
    assert merge.gone.tolist() == [[2]]  # the one that is most like the target
    merged = merge.merged(tokens)
    assert merged.shape == (1, 3, 2)
    torch.testing.assert_close(merged[0, 0], torch.tensor([0.95, 0.05]))
    spread = merge.spread(merged)
    torch.testing.assert_close(spread[0, 2], spread[0, 0])
    torch.testing.assert_close(spread[0, [1, 3]], tokens[0, [1, 3]])


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_a_share_of_less_than_a_token_merges_nothing(share: float) -> None:
    assert find_merge(torch.randn(1, 4, 8), 2, 2, share) is None


@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 7), (1, 9)])
def test_all_tokens_are_kept_or_merged_once_at_any_size(height: int, width: int) -> None:
    tokens = torch.randn(2, height * width, 4, generator=torch.Generator().manual_seed(1))
    merge = find_merge(tokens, height, width, share=0.75)
    assert merge is not None
    for item in range(2):
        assert sorted(merge.kept[item].tolist() + merge.gone[item].tolist()) == list(range(height * width))
    constant = torch.ones(2, height * width, 4)
    torch.testing.assert_close(merge.spread(merge.merged(constant)), constant)


def test_a_transformer_takes_no_shortcut() -> None:
    flux = read_checkpoint("synthetic:flux-tiny").denoiser
    for shorten in (reusing, merging):
        with pytest.raises(ModelError) as caught:
            shorten(denoiser=flux)
        assert caught.value.code == "shortcut-family"


def test_shortcuts_are_stored_with_their_handle() -> None:
    codec: Any = DENOISER.codec
    handle = merging(0.25, 2, reusing(4, 3))
    assert codec.decode(codec.encode(handle)) == handle
    assert handle.shortcuts == Shortcuts(0.25, 2, 4, 3)


@pytest.mark.parametrize("denoiser", [reusing, merging], ids=["reuse", "merge"])
def test_shortcuts_find_weights_that_come_and_go(denoiser: Any) -> None:
    """Streaming brings a piece's weights when the piece is called."""
    whole = draw(denoiser())
    with pool().lease(model().denoiser, "cpu") as unet:
        streamed = Streamed(unet, "cpu", 0)
        try:
            assert torch.equal(draw(denoiser()), whole)
        finally:
            streamed.stop()
    assert torch.equal(draw(denoiser()), whole)


def test_shortcuts_pruning_patches_and_control_go_together() -> None:
    """Whatever the batch, the memory and where weights lie, the picture is one; and the base comes back bit for bit."""
    before = draw(model().denoiser)
    node: Any = DenoiserLora(denoiser=model().denoiser, source=str(tiny_lora(SOURCE)), strength=0.8)
    pruned = with_pruning(node.run(context()).denoiser, heads_share=0.5, channels_share=0.5)
    denoiser = merging(0.5, 2, reusing(2, 2, with_shortcuts(pruned, attended_keys=7)))
    seen = replace(branch(pool(), image=picture()), strength=0.7)
    control = Control((ControlBranch(controlnet(), noise(64, 64), 0.8), seen))
    drawn = draw(denoiser, latents=empty(2), control=control)
    torch.testing.assert_close(draw(denoiser, control=control), drawn[:1], rtol=0, atol=2e-4)
    with more_thrift(one_at_a_time=True):
        torch.testing.assert_close(draw(denoiser, latents=empty(2), control=control), drawn, rtol=0, atol=2e-4)
    with pool().lease(denoiser, "cpu") as unet:
        streamed = Streamed(unet, "cpu", 0)
        try:
            assert torch.equal(draw(denoiser, latents=empty(2), control=control), drawn)
        finally:
            streamed.stop()
    assert torch.equal(draw(model().denoiser), before)
