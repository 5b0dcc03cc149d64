"""Denoisers that are larger than their device: weights that come piece by piece, and leave no trace."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sdgraph_nodes.empty_latents import EmptyLatents
from sdgraph_nodes.encode_text import EncodeText
from sdgraph_nodes.load_checkpoint import LoadCheckpoint
from sdgraph_nodes.sampler import Sampler
from torch import Tensor, nn

from sdgraph import Executor, MemoryStore, Payloads, Registry, Workflow, build_graph, make_plan
from sdgraph.engine.context import Services
from sdgraph.engine.report import RunReport
from sdgraph.models.checkpoint import Checkpoint, read_checkpoint
from sdgraph.models.load import load_model
from sdgraph.models.memory.needs import Need
from sdgraph.models.memory.recovery import MemoryRecovery
from sdgraph.models.memory.thrift import more_thrift
from sdgraph.models.network import open_network
from sdgraph.models.patches.lora import with_lora
from sdgraph.models.placing import model_bytes
from sdgraph.models.pool import ModelPool
from sdgraph.models.pool_events import PoolEvent
from sdgraph.models.streaming import Streamed
from sdgraph.models.warm import warm
from sdgraph.models.weights_bytes import weights_bytes
from sdgraph.payloads.handles import DenoiserHandle, ModelHandle
from sdgraph.payloads.pruning import Pruning
from tests.models.budgeted import Budgeted, peak_of
from tests.models.loras import kohya, layers, write
from tests.models.test_unet_network import conditioning
from tests.toys import RecordingContext

THERE = "cpu:0"
"""A second device: torch copies what goes there, and computes the same bits."""


def loaded(handle: DenoiserHandle) -> nn.Module:
    found: Any = load_model(handle)
    return found


def predict(pool: ModelPool, handle: DenoiserHandle, device: str = THERE) -> Tensor:
    prompt = conditioning(1, 77, handle.conditioning_width)
    pooled = torch.linspace(-1, 1, handle.pooled_width or 1)[None]
    prompts = (prompt.changed(pooled=pooled),) * 2
    x = torch.randn(2, handle.space.channels, 8, 8, generator=torch.Generator().manual_seed(0))
    with open_network(pool, handle, device=device) as network:
        return network(x, torch.full((2,), 500.0), prompts)


def budgeted(handle: DenoiserHandle, share: float) -> tuple[ModelPool, list[PoolEvent]]:
    """A pool on a device that has room for a share of the model."""
    told: list[PoolEvent] = []
    budget = int(share * (weights_bytes(handle) or 0))
    return ModelPool({THERE: budget}, listeners=(told.append,)), told


def places(model: nn.Module) -> dict[str, int]:
    """Where every parameter and buffer lies in memory."""
    return {name: tensor.data_ptr() for name, tensor in (*model.named_parameters(), *model.named_buffers())}


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


@pytest.mark.parametrize("share", [0.3, 0.6])
@pytest.mark.parametrize("family", ["sd15", "sdxl", "sd3", "flux"])
def test_streamed_models_predict_the_same_bits_in_a_part_of_the_memory(
    family: str, share: float, pool: ModelPool
) -> None:
    handle = read_checkpoint(f"synthetic:{family}-tiny").denoiser
    small, told = budgeted(handle, share)
    assert torch.equal(predict(small, handle), predict(pool, handle, "cpu"))
    assert [event.what for event in told] == ["loaded", "streamed"]
    whole = model_bytes(loaded(handle))
    assert small.bytes_on("cpu") == whole
    assert 0 < small.bytes_on(THERE) <= share * whole
    assert [(resident.device, resident.streamed) for resident in small.residents()] == [(THERE, True)]
    assert small.holds(handle, THERE)
    assert torch.equal(predict(small, handle), predict(pool, handle, "cpu"))
    assert len(told) == 2


@pytest.mark.parametrize("room", [0, 200_000])
def test_a_model_off_the_stream_is_what_it_was_in_the_very_memory(tiny: Checkpoint, room: int) -> None:
    model = loaded(tiny.denoiser)
    before = places(model)
    streamed = Streamed(model, THERE, room)
    assert hooks(model) > 0
    assert any(tensor.numel() == 0 for tensor in model.parameters())
    streamed.stop()
    assert places(model) == before
    assert hooks(model) == 0


def test_a_model_streams_within_a_budget_that_does_not_hold_it(tiny: Checkpoint, pool: ModelPool) -> None:
    handle, own = tiny.denoiser, ModelPool()
    plain = predict(pool, handle, "cpu")
    activations = peak_of(lambda: predict(pool, handle, "cpu"))
    model = loaded(handle)
    with own.lease(handle, "cpu"):
        pass
    budget = activations + model_bytes(model) // 2

    def whole() -> None:
        model.to(THERE)
        predict(own, handle, "cpu")

    with pytest.raises(torch.OutOfMemoryError), Budgeted(budget):
        whole()
    small, _ = budgeted(handle, 0.3)
    with small.lease(handle, THERE):
        pass
    with Budgeted(budget) as meter:
        assert torch.equal(predict(small, handle), plain)
    assert meter.failures == 0
    assert meter.peak_bytes <= activations + small.bytes_on(THERE)


def test_a_forward_that_fails_leaves_nothing_on_the_device(tiny: Checkpoint, pool: ModelPool) -> None:
    small, _ = budgeted(tiny.denoiser, 0.3)
    with small.lease(tiny.denoiser, THERE) as model:
        before = places(model)
        with pytest.raises(RuntimeError):
            model(torch.zeros(1, 4, 8, 8), torch.zeros(1), torch.zeros(1, 77, 3))  # a wrong width
        assert places(model) == before
    assert torch.equal(predict(small, tiny.denoiser), predict(pool, tiny.denoiser, "cpu"))


def test_patches_act_on_streamed_models_and_come_off(tiny: Checkpoint, pool: ModelPool, tmp_path: Path) -> None:
    path = write(tmp_path / "style.safetensors", kohya("lora_unet_", layers(loaded(tiny.denoiser))))
    patched = with_lora(tiny.denoiser, None, str(path), 1.0, 1.0).denoiser
    small, _ = budgeted(tiny.denoiser, 0.3)
    plain = predict(small, tiny.denoiser)
    drawn = predict(small, patched)
    assert not torch.equal(drawn, plain)
    assert torch.equal(drawn, predict(pool, patched, "cpu"))
    assert torch.equal(predict(small, tiny.denoiser), plain)


def test_what_is_streamed_for_one_lease_is_whole_for_the_next(tiny: Checkpoint) -> None:
    told: list[PoolEvent] = []
    pool = ModelPool(listeners=(told.append,))
    plain = predict(pool, tiny.denoiser)
    with more_thrift(streamed=True):
        assert torch.equal(predict(pool, tiny.denoiser), plain)
        with pool.lease(tiny.denoiser, THERE) as model:
            assert hooks(model) > 0
        with pool.lease(tiny.vae, THERE) as other:
            assert hooks(other) == 0
    assert torch.equal(predict(pool, tiny.denoiser), plain)
    with pool.lease(tiny.denoiser, THERE) as model:
        assert hooks(model) == 0
    assert [event.what for event in told if "unet" in event.model] == ["loaded", "offloaded", "streamed", "returned"]
    assert pool.bytes_on("cpu") == 0


@pytest.mark.parametrize("change", ["lora", "pruning"])
def test_a_changed_model_leaves_the_stream_with_all_of_its_own_weights(
    tiny: Checkpoint, tmp_path: Path, change: str
) -> None:
    """Originals that are set aside do not move along: on a second device they would meet weights of the first."""
    path = write(tmp_path / "style.safetensors", kohya("lora_unet_", layers(loaded(tiny.denoiser))))
    changed = {
        "lora": with_lora(tiny.denoiser, None, str(path), 1.0, 1.0).denoiser,
        "pruning": replace(tiny.denoiser, pruning=Pruning(heads_share=0.5, channels_share=0.5)),
    }[change]
    own = loaded(tiny.denoiser).state_dict()
    moved: list[str] = []

    def move(model: Any, device: str) -> None:
        moved.append(device)
        found = model.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in own.items())

    pool = ModelPool(move=move)
    with more_thrift(streamed=True):
        streamed = predict(pool, changed)
    assert torch.equal(predict(pool, changed), streamed)
    assert moved == [THERE]


def test_a_streamed_model_leaves_for_others_and_comes_back(tiny: Checkpoint) -> None:
    pool, told = budgeted(tiny.denoiser, 0.5)
    plain = predict(pool, tiny.denoiser)
    with pool.lease(tiny.vae, THERE):
        assert pool.bytes_on("cpu") >= (weights_bytes(tiny.denoiser) or 0)
    assert torch.equal(predict(pool, tiny.denoiser), plain)
    of_unet = [event.what for event in told if event.model.endswith("unet")]
    assert of_unet == ["loaded", "streamed", "offloaded", "streamed"]


def test_a_changed_model_that_leaves_takes_no_more_than_its_own_weights(tiny: Checkpoint) -> None:
    pool, _ = budgeted(tiny.denoiser, 0.5)
    predict(pool, replace(tiny.denoiser, pruning=Pruning(heads_share=0.5, channels_share=0.5)))
    assert pool.bytes_on("cpu") > model_bytes(loaded(tiny.denoiser))
    with pool.lease(tiny.vae, THERE):
        assert pool.bytes_on("cpu") == model_bytes(loaded(tiny.denoiser))


def test_a_streamed_model_is_freed_without_the_garbage_collector(tiny: Checkpoint) -> None:
    pool, told = budgeted(tiny.denoiser, 0.3)
    with pool.lease(tiny.denoiser, THERE) as model:
        found = [weakref.ref(model), weakref.ref(next(model.parameters()))]
    del model
    gc.disable()
    try:
        assert pool.release(tiny.denoiser) == told[1].bytes + told[0].bytes
        assert [each() for each in found] == [None, None]
    finally:
        gc.enable()
    assert pool.held_bytes == 0


def test_warming_up_has_a_streamed_model_ready(tiny: Checkpoint) -> None:
    pool, _ = budgeted(tiny.denoiser, 0.5)
    assert warm([Need("draw", "sd.sampler", (tiny.denoiser,), 0)], pool, THERE).ready


def drawing() -> Workflow:
    workflow = Workflow("streaming")
    sd = workflow.add("sd", LoadCheckpoint(source="synthetic:sd15-tiny")).out
    prompt = workflow.add("prompt", EncodeText(text_encoder=sd.text_encoder, prompt="a star")).out.conditioning
    start = workflow.add("start", EmptyLatents(width_px=32, height_px=32)).out.latents
    sampler = Sampler(denoiser=sd.denoiser, latents=start, positive=prompt, negative=prompt, steps=2)
    workflow.output("drawn", workflow.add("sample", sampler).out.latents)
    return workflow


def run(pool: ModelPool) -> tuple[RunReport, Tensor, int]:
    """The report, what was drawn, and how much of it a second run finds."""
    registry = Registry.installed()
    store = MemoryStore(Payloads(registry.port_types))
    executor = Executor(registry, store, device=THERE, services=Services({ModelPool: lambda: pool}))
    executor.recovery = MemoryRecovery()
    graph = build_graph(drawing().to_document(), registry)
    report = executor.run(make_plan(graph, store))
    assert report.status == "done", report.problems
    again = executor.run(make_plan(graph, store))
    return report, report.outputs["drawn"].samples, again.count("ran")


def short_of_memory(fails: Callable[[ModelHandle, str], bool]) -> Callable[[ModelHandle, str], object]:
    """A loader to a device that has no room for some models."""

    def load(handle: ModelHandle, device: str) -> object:
        if fails(handle, device):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return load_model(handle, device)

    return load


def remedies(report: RunReport) -> list[str]:
    return [entry["name"] for entry in report.resources if entry["type"] == "remedy"]


def test_a_model_that_does_not_fit_alone_is_streamed_at_once_and_the_result_is_stored() -> None:
    def too_large(handle: ModelHandle, device: str) -> bool:
        return isinstance(handle, DenoiserHandle) and device != "cpu"

    _, plain, _ = run(ModelPool())
    report, drawn, ran_again = run(ModelPool(load=short_of_memory(too_large)))
    assert remedies(report) == ["free_memory", "streamed_weights"]
    assert torch.equal(drawn, plain)
    assert ran_again == 0


def test_a_forward_that_does_not_fit_is_made_smaller_before_weights_are_streamed(tiny: Checkpoint) -> None:
    handles = {"denoiser": tiny.denoiser}
    pool = ModelPool()
    with pool.lease(tiny.denoiser, THERE):
        pass
    context = RecordingContext(pool)
    context.device = THERE
    found = [remedy.name for remedy in MemoryRecovery("exact").remedies(handles, context)]
    assert found == ["free_memory", "one_at_a_time", "sliced_attention", "streamed_weights"]
