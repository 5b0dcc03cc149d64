"""Pruned networks: what is cut out is what matters least, shapes really shrink, and all comes back bit for bit."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from sdgraph_nodes.lora import DenoiserLora
from torch import Tensor, nn

from sdgraph.core.context import running
from sdgraph.errors import ModelError
from sdgraph.models.attention_backend import set_attention
from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.compose import open_model
from sdgraph.models.network import open_network
from sdgraph.models.pool import ModelPool
from sdgraph.models.pruning.channels import group_importance, keep_groups, prune_channels, residual_blocks
from sdgraph.models.pruning.cost import network_costs
from sdgraph.models.pruning.heads import attention_layers, head_importance, keep_heads, prune_heads
from sdgraph.models.pruning.pruned import with_pruning
from sdgraph.models.pruning.surgery import Surgery, fewest
from sdgraph.models.streaming import Streamed
from sdgraph.payloads.control import Control, IPAdapterBranch
from sdgraph.payloads.handles import DENOISER, DenoiserHandle
from sdgraph.payloads.pruning import Pruning
from tests.models.control_loop import picture
from tests.models.test_ip_adapters import branch
from tests.nodes.tiny_model import SOURCE, context, model, prompt
from tests.workflows.small_files import tiny_lora


def pruned(heads: float = 0.0, channels: float = 0.0, of: DenoiserHandle | None = None) -> DenoiserHandle:
    return with_pruning(of or model().denoiser, heads_share=heads, channels_share=channels)


def predict(pool: ModelPool, handle: DenoiserHandle, control: Control | None = None) -> Tensor:
    """[2, 4, 8, 8]: the prediction for one picture under two prompts."""
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1, 1)
    with open_network(pool, handle, control) as network:
        return network(x, torch.full((2,), 500.0), (prompt("a star"), prompt("blue")))


def loaded(pool: ModelPool) -> Any:
    with pool.lease(model().denoiser) as unet:
        return unet


def places(unet: nn.Module) -> Mapping[str, tuple[int, tuple[int, ...]]]:
    return {name: (tensor.data_ptr(), tuple(tensor.shape)) for name, tensor in unet.named_parameters()}


def parameters(unet: nn.Module) -> int:
    return sum(parameter.numel() for parameter in unet.parameters())


def attention(heads: int = 4, width: int = 3) -> Any:
    torch.manual_seed(0)
    return Attention(query_dim=6, heads=heads, dim_head=width, bias=False).eval()


def residual(time_embedding_norm: str = "default") -> Any:
    torch.manual_seed(0)
    return ResnetBlock2D(
        in_channels=8, out_channels=12, temb_channels=5, groups=4, time_embedding_norm=time_embedding_norm
    ).eval()


@torch.no_grad()
def run_residual(block: Any) -> Tensor:
    torch.manual_seed(1)
    return block(torch.randn(2, 8, 5, 5), torch.randn(2, 5))


@torch.no_grad()
def run_attention(layer: Any) -> Tensor:
    torch.manual_seed(1)
    return layer(torch.randn(2, 7, 6))


@pytest.mark.parametrize(
    ("share", "kept"), [(0.0, [0, 1, 2, 3]), (0.25, [0, 2, 3]), (0.49, [0, 2, 3]), (0.5, [0, 3]), (0.9, [3])]
)
def test_the_least_important_go_and_one_stays(share: float, kept: list[int]) -> None:
    assert fewest(torch.tensor([3.0, 1.0, 2.0, 9.0]), share) == kept


def test_a_share_that_is_a_whole_number_of_parts_is_no_part_less() -> None:
    assert all(len(fewest(torch.rand(10), tenth / 10)) == 10 - tenth for tenth in range(10))


def test_heads_rank_by_what_they_can_add_to_the_output() -> None:
    layer = attention().requires_grad_(False)
    with torch.no_grad():
        value, output = layer.to_v.weight.unflatten(0, (4, -1)), layer.to_out[0].weight.unflatten(1, (4, -1))
        value[1] *= 100  # a head of large values whose output is thrown away
        output[:, 1] = 0
        output[:, 3] *= 50  # a head of usual values that weighs most
        value[0] *= 1e-3
    order = head_importance(layer).argsort().tolist()
    assert order == [1, 0, 2, 3]
    expected = torch.stack([torch.linalg.norm((output[:, head] @ value[head]).double()) for head in range(4)])
    torch.testing.assert_close(head_importance(layer), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("backend", ["sdpa", "math", "sliced"])
def test_a_head_that_adds_nothing_goes_without_a_trace(backend: Any) -> None:
    layer = attention()
    set_attention(layer, backend, "cpu")
    with torch.no_grad():
        layer.to_out[0].weight.unflatten(1, (4, -1))[:, 2] = 0
    before = run_attention(layer)
    surgery = Surgery()
    keep_heads(layer, fewest(head_importance(layer), 0.25), surgery)
    assert layer.heads == 3
    shapes = [tuple(part.weight.shape) for part in (layer.to_q, layer.to_k, layer.to_v, layer.to_out[0])]
    assert shapes == [(9, 6), (9, 6), (9, 6), (6, 9)]
    assert float((run_attention(layer) - before).abs().max()) <= 1e-6
    surgery.undo()
    assert layer.heads == 4
    assert torch.equal(run_attention(layer), before)


def test_heads_without_a_say_are_heads_that_are_gone() -> None:
    """Cutting is the same as emptying the head's part of the output projection."""
    layer, emptied = attention(), attention()
    with torch.no_grad():
        emptied.to_out[0].weight.unflatten(1, (4, -1))[:, [0, 3]] = 0
    keep_heads(layer, [1, 2], Surgery())
    torch.testing.assert_close(run_attention(layer), run_attention(emptied), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["default", "scale_shift"])
def test_groups_without_a_say_are_groups_that_are_gone(kind: str) -> None:
    block, emptied = residual(kind), residual(kind)
    with torch.no_grad():
        emptied.conv2.weight[:, [0, 1, 2, 6, 7, 8]] = 0
    surgery = Surgery()
    before = run_residual(block)
    keep_groups(block, [1, 3], surgery)
    torch.testing.assert_close(run_residual(block), run_residual(emptied), rtol=1e-6, atol=1e-6)
    halves = 2 if kind == "scale_shift" else 1
    assert tuple(block.conv1.weight.shape) == (6, 8, 3, 3)
    assert tuple(block.conv2.weight.shape) == (12, 6, 3, 3)
    assert tuple(block.time_emb_proj.weight.shape) == (6 * halves, 5)
    assert (block.norm2.num_groups, block.norm2.num_channels) == (2, 6)
    surgery.undo()
    assert torch.equal(run_residual(block), before)


def test_groups_rank_by_the_sum_of_their_filters_magnitudes() -> None:
    block = residual()
    with torch.no_grad():
        block.conv1.weight[:] = 1.0
        block.conv1.weight[3:6] = -0.1  # the second of four groups of three
        block.conv1.weight[9] = 5.0
    assert group_importance(block).tolist() == pytest.approx([216.0, 21.6, 216.0, 504.0])


def test_groups_that_are_nearly_equal_rank_by_the_exact_sum() -> None:
    """In float32 the small weights would vanish beside the large one, and the order be that of the hardware's sums."""
    block = residual()
    with torch.no_grad():
        block.conv1.weight[:] = 2.0**-6
        block.conv1.weight[::3, 0, 0, 0] = 2.0**20
        block.conv1.weight[0, 1, 1, 1] += 2.0**-7
    importance = group_importance(block)
    assert importance.argmax() == 0
    assert float(importance[0] - importance[1]) == 2.0**-7


@pytest.mark.parametrize("source", ["synthetic:sd15-tiny", "synthetic:sdxl-tiny"])
def test_shapes_shrink_by_the_share_and_predictions_stay_finite(source: str, pool: ModelPool) -> None:
    handle = read_checkpoint(source).denoiser
    with pool.lease(handle) as unet:
        cut: Any = copy.deepcopy(unet)
    count = parameters(cut)
    heads = [layer.heads for layer in attention_layers(cut)]
    inner = [block.conv1.weight.shape[0] for block in residual_blocks(cut)]
    prune_heads(cut, 0.5, Surgery())
    assert [layer.heads for layer in attention_layers(cut)] == [number // 2 for number in heads]
    prune_channels(cut, 0.25, Surgery())
    assert [block.conv1.weight.shape[0] for block in residual_blocks(cut)] == [number * 3 // 4 for number in inner]
    assert parameters(cut) < 0.9 * count
    assert all(block.norm2.num_channels % block.norm2.num_groups == 0 for block in residual_blocks(cut))


def test_a_share_of_0_is_the_handle_itself() -> None:
    assert pruned() == model().denoiser
    assert with_pruning(pruned(0.5, 0.25), heads_share=0.0, channels_share=0.0) == model().denoiser


def test_a_pruned_model_shares_the_pool_with_its_base_which_comes_back_bit_for_bit(pool: ModelPool) -> None:
    base = predict(pool, model().denoiser)
    unet, loads, held = loaded(pool), pool.load_count, pool.held_bytes
    before, count = places(unet), parameters(unet)
    for handle in (pruned(0.5), pruned(channels=0.5), pruned(0.5, 0.5)):
        with pool.lease(handle) as cut:
            assert cut is unet
            assert parameters(cut) < count
            assert pool.held_bytes > held  # the whole layers are kept, and counted
        assert not torch.equal(predict(pool, handle), base)
    assert torch.equal(predict(pool, model().denoiser), base)
    assert places(unet) == before
    assert not [layer for layer in attention_layers(unet) if hasattr(layer, "kept_rows")]
    assert (pool.load_count, pool.held_bytes) == (loads, held)


def test_a_pruned_model_stays_pruned_from_one_lease_to_the_next(pool: ModelPool) -> None:
    handle = pruned(0.5, 0.5)
    with pool.lease(handle) as unet:
        first = places(unet)
    with pool.lease(handle) as unet:
        assert places(unet) == first


def test_a_cut_that_fails_leaves_the_model_whole(pool: ModelPool, monkeypatch: pytest.MonkeyPatch) -> None:
    base = predict(pool, model().denoiser)
    before, held = places(loaded(pool)), pool.held_bytes

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as broken:
        broken.setattr("sdgraph.models.pruning.pruned.prune_channels", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            predict(pool, pruned(0.5, 0.5))  # the heads are cut by then
    assert (places(loaded(pool)), pool.held_bytes) == (before, held)
    assert torch.equal(predict(pool, model().denoiser), base)


def test_a_model_and_its_pruned_self_can_be_leased_at_once(pool: ModelPool) -> None:
    with pool.lease(model().denoiser) as whole, pool.lease(pruned(0.5)) as cut:
        assert parameters(cut) < parameters(whole)


def test_loras_come_first_and_pruning_reads_their_weights(pool: ModelPool) -> None:
    node: Any = DenoiserLora(denoiser=model().denoiser, source=str(tiny_lora(SOURCE)), strength=0.8)
    patched: DenoiserHandle = node.run(context()).denoiser
    with pool.lease(patched) as unet:
        expected = copy.deepcopy(unet)
    prune_heads(expected, 0.5, Surgery())
    prune_channels(expected, 0.5, Surgery())
    for handle in (pruned(0.5, 0.5, of=patched), pruned(0.5, 0.5), pruned(0.5, 0.5, of=patched)):
        with pool.lease(handle) as unet:  # patches come, go and come while it is pruned
            same = [torch.equal(a, b) for a, b in zip(unet.parameters(), expected.parameters(), strict=True)]
        assert all(same) is bool(handle.patches)
    with pool.lease(patched) as unet:
        assert parameters(unet) > parameters(expected)


def test_pruned_weights_can_come_and_go(pool: ModelPool) -> None:
    whole = predict(pool, pruned(0.5, 0.5))
    with pool.lease(pruned(0.5, 0.5)) as unet:
        streamed = Streamed(unet, "cpu", 0)
        try:
            assert torch.equal(predict(pool, pruned(0.5, 0.5)), whole)
        finally:
            streamed.stop()


def test_an_ip_adapter_reaches_the_heads_that_are_left(pool: ModelPool) -> None:
    handle = pruned(0.5)
    acting: IPAdapterBranch = branch(pool, image=picture())
    with_picture = predict(pool, handle, Control((replace(acting, strength=0.7),)))
    assert bool(with_picture.isfinite().all())
    assert not torch.equal(with_picture, predict(pool, handle))


def test_costs_are_those_of_the_network_that_runs(pool: ModelPool) -> None:
    ctx, count = context(), 0
    with running(ctx):
        for handle in (model().denoiser, pruned(0.5, 0.5)):
            with open_model(pool, handle) as opened:
                count = parameters(opened.network.module)
    [told] = [event for event in ctx.told if event["what"] == "pruned"]
    assert told["parameters"] == count
    assert told["parameters_whole"] == parameters(loaded(pool))
    assert 0.3 < told["flops"] / told["flops_whole"] < 0.9


def test_operations_are_counted_by_shape() -> None:
    """One head of four less: its part of the projections and of the attention is gone, and nothing else."""
    with ModelPool().lease(model().denoiser) as unet:
        config = json.dumps(dict(unet.config))
        layers = [
            (name, layer.to_q.in_features, layer.to_k.in_features, layer.to_q.out_features)
            for name, layer in unet.named_modules()
            if name.endswith(("attn1", "attn2"))
        ]
    whole, cut = network_costs(pruned(0.25), config)
    gone = 0
    for name, inner, seen, width in layers:
        tokens = tokens_of(name)
        others = tokens if name.endswith("attn1") else 77
        quarter = width // 4
        gone += 2 * quarter * (2 * tokens * inner + 2 * others * seen + 2 * tokens * others)
    assert whole.flops - cut.flops == gone


def tokens_of(name: str) -> int:
    """Positions that a layer of the tiny model sees of 8 x 8 latents."""
    return 64 if name.startswith(("down_blocks.0", "up_blocks.1")) else 16


def test_a_transformer_has_nothing_to_prune() -> None:
    flux = read_checkpoint("synthetic:flux-tiny").denoiser
    with pytest.raises(ModelError) as caught:
        with_pruning(flux, heads_share=0.5)
    assert caught.value.code == "pruning-family"
    assert with_pruning(flux, heads_share=0.0) == flux


def test_pruning_is_stored_with_its_handle() -> None:
    codec: Any = DENOISER.codec
    handle = pruned(0.5, 0.25)
    assert codec.decode(codec.encode(handle)) == handle
    assert handle.pruning == Pruning(0.5, 0.25)
