"""Compiled blocks compute the same, are counted, and step aside for whatever else is done to a block."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sdgraph.core.context import running
from sdgraph.diffusion.perturbation import Perturbation
from sdgraph.models.attention import attention_blocks
from sdgraph.models.checkpoint import Checkpoint, read_checkpoint
from sdgraph.models.compose import Sampling, open_model
from sdgraph.models.memory.needs import Need
from sdgraph.models.memory.thrift import more_thrift
from sdgraph.models.network import UNetNetwork, open_network
from sdgraph.models.patches.lora import with_lora
from sdgraph.models.pool import ModelPool
from sdgraph.models.pool_events import PoolEvent
from sdgraph.models.pruning.pruned import with_pruning
from sdgraph.models.shortened import with_shortcuts
from sdgraph.models.warm import WarmReport, warm
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.facts import PictureFact
from sdgraph.payloads.handles import DenoiserHandle
from tests.models.loras import kohya, layers, write
from tests.models.test_unet_network import conditioning
from tests.toys import RecordingContext

PARITY = 1e-5
pytestmark = pytest.mark.timeout(900)


def shown(handle: DenoiserHandle, side_px: int = 64) -> Need:
    return Need("draw", "sd.sampler", (handle,), side_px**2, PictureFact(side_px, side_px), prompts=2)


def predict(pool: ModelPool, handle: DenoiserHandle, side: int = 8) -> Tensor:
    """Under two prompts of 77 tokens."""
    prompts: tuple[Conditioning, ...] = tuple(conditioning(seed, 77, handle.conditioning_width) for seed in (1, 2))
    x = torch.randn(1, 4, side, side, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1, 1)
    with open_network(pool, handle) as network:
        return network(x, torch.full((2,), 500.0), prompts)


class Bench:
    """A pool that compiles, with what it told; its denoiser is warm for pictures of 64 px."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        torch._dynamo.reset()
        self.told: list[PoolEvent] = []
        self.pool = ModelPool(compile="blocks", listeners=(self.told.append,))
        self.report: WarmReport = warm([shown(checkpoint.denoiser)], self.pool, "cpu")

    def compilations(self) -> list[tuple[str, int]]:
        return [(event.what, event.graphs) for event in self.told if event.graphs]


@pytest.fixture(scope="module")
def bench(models_home: Path, tiny_folder: Path) -> Generator[Bench]:
    """Compiling takes many seconds, so it is done once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDGRAPH_HOME", str(models_home))
        made = Bench(read_checkpoint("synthetic:sd15-tiny"))
    yield made
    made.pool.release()
    torch._dynamo.reset()


def test_warming_up_compiles_and_says_what_it_took(bench: Bench, tiny: Checkpoint) -> None:
    (model,) = bench.report.models
    assert bench.report.ready
    assert bench.report.problems == ()
    assert model.compiled
    assert 0 < model.compile_s <= model.elapsed_s
    assert model.graphs == sum(graphs for _, graphs in bench.compilations()) > 0
    assert model.to_json()["graphs"] == model.graphs
    assert {what for what, _ in bench.compilations()} == {"compiled"}
    again = warm([shown(tiny.denoiser)], bench.pool, "cpu").models[0]
    assert (again.compiled, again.graphs, again.compile_s) == (True, 0, 0.0)


def test_what_was_compiled_computes_the_same_and_is_not_compiled_again(bench: Bench, tiny: Checkpoint) -> None:
    before = bench.compilations()
    compiled = predict(bench.pool, tiny.denoiser)
    eager = predict(ModelPool(), tiny.denoiser)
    assert 0 < (compiled - eager).abs().max() < PARITY  # other kernels, so not bit for bit
    assert torch.equal(predict(bench.pool, tiny.denoiser), compiled)
    assert bench.compilations() == before


def test_another_size_is_compiled_again_and_counted(bench: Bench, tiny: Checkpoint) -> None:
    compilation = bench.pool.compilation(tiny.denoiser)
    assert compilation is not None
    before = compilation.recompiled
    found = predict(bench.pool, tiny.denoiser, side=12)
    assert (found - predict(ModelPool(), tiny.denoiser, side=12)).abs().max() < PARITY
    assert compilation.recompiled > before
    assert ("recompiled", compilation.recompiled - before) in bench.compilations()


def test_patches_act_on_compiled_models_and_come_off_bit_for_bit(
    bench: Bench, tiny: Checkpoint, tmp_path: Path
) -> None:
    with bench.pool.lease(tiny.denoiser) as model:
        path = write(tmp_path / "style.safetensors", kohya("lora_unet_", layers(model)))
    patched = with_lora(tiny.denoiser, None, str(path), 1.0, 1.0).denoiser
    plain = predict(bench.pool, tiny.denoiser)
    before = bench.compilations()
    drawn = predict(bench.pool, patched)
    assert (drawn - plain).abs().max() > 1e-3
    assert (drawn - predict(ModelPool(), patched)).abs().max() < PARITY
    assert torch.equal(predict(bench.pool, tiny.denoiser), plain)
    assert bench.compilations() == before


def test_pruned_models_are_compiled_for_their_shapes_and_whole_ones_come_back_bit_for_bit(
    bench: Bench, tiny: Checkpoint
) -> None:
    plain = predict(bench.pool, tiny.denoiser)
    pruned = with_pruning(tiny.denoiser, heads_share=0.5, channels_share=0.5)
    drawn = predict(bench.pool, pruned)
    assert 0 < (drawn - predict(ModelPool(), pruned)).abs().max() < PARITY
    assert (drawn - plain).abs().max() > 1e-3
    before = bench.compilations()
    assert torch.equal(predict(bench.pool, tiny.denoiser), plain)
    assert torch.equal(predict(bench.pool, pruned), drawn)
    assert bench.compilations() == before


@pytest.mark.parametrize("fields", [{"merged_share": 0.5}, {"attended_keys": 4}, {"reuse_every": 3}])
def test_shortcuts_are_taken_by_compiled_models_as_by_others(
    bench: Bench, tiny: Checkpoint, fields: dict[str, Any]
) -> None:
    plain = predict(bench.pool, tiny.denoiser)
    handle = with_shortcuts(tiny.denoiser, **fields)
    found = [shortened(pool, handle) for pool in (bench.pool, ModelPool())]
    assert (found[0] - found[1]).abs().max() < PARITY
    assert (found[0] - shortened(bench.pool, tiny.denoiser)).abs().max() > 1e-3
    assert torch.equal(predict(bench.pool, tiny.denoiser), plain)


def shortened(pool: ModelPool, handle: DenoiserHandle) -> Tensor:
    """The second of two steps."""
    prompts, sampling = (conditioning(1, 77, handle.conditioning_width),), Sampling()
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with open_model(pool, handle, sampling=sampling) as opened:
        opened.denoise(x, torch.ones(1), prompts)
        sampling.step = 1
        return opened.denoise(2 * x, 0.8 * torch.ones(1), prompts)[0]


def perturbations() -> list[Perturbation]:
    return [Perturbation("identity"), Perturbation("blur"), Perturbation("skip")]


def perturbed(pool: ModelPool, handle: DenoiserHandle, perturbation: Perturbation) -> Tensor:
    prompts = (conditioning(1, 77, handle.conditioning_width),) * 2
    x = torch.ones(2, 4, 8, 8)
    with open_network(pool, handle) as network:
        assert isinstance(network, UNetNetwork)
        with network.perturbed(perturbation):
            return network(x, torch.full((2,), 500.0), prompts)


def test_perturbed_and_sparing_blocks_run_as_they_are(bench: Bench, tiny: Checkpoint) -> None:
    before, eager = bench.compilations(), ModelPool()
    for perturbation in perturbations():
        found = perturbed(bench.pool, tiny.denoiser, perturbation)
        assert (found - perturbed(eager, tiny.denoiser, perturbation)).abs().max() < PARITY
    for thrifty in ({"one_at_a_time": True}, {"sliced_attention": True}):
        options: dict[str, Any] = thrifty
        with more_thrift(**options):
            assert torch.equal(predict(bench.pool, tiny.denoiser), predict(eager, tiny.denoiser))
    assert bench.compilations() == before


def test_a_model_that_is_loaded_again_finds_its_code_and_leaves_no_memory(bench: Bench, tiny: Checkpoint) -> None:
    plain = predict(bench.pool, tiny.denoiser)
    with bench.pool.lease(tiny.denoiser) as model:
        weight = weakref.ref(model.conv_in.weight)
        block = weakref.ref(next(iter(attention_blocks(model).values())))
    del model
    gc.disable()
    try:
        bench.pool.release(tiny.denoiser)
        assert (weight(), block()) == (None, None)  # without the garbage collector: there is no cycle
    finally:
        gc.enable()
    before = bench.compilations()
    assert torch.equal(predict(bench.pool, tiny.denoiser), plain)
    assert bench.compilations() == before


def test_without_a_compiler_models_run_as_they_are_and_a_warning_says_so(
    tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch._inductor.config as config

    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # where nothing is compiled yet
    torch._dynamo.reset()
    pool, context = ModelPool(compile="blocks"), RecordingContext()
    with running(context):
        report = warm([shown(tiny.denoiser)], pool, "cpu")
        assert torch.equal(predict(pool, tiny.denoiser), predict(ModelPool(), tiny.denoiser))
    torch._dynamo.reset()
    assert report.ready
    assert [(problem.code, problem.severity) for problem in report.problems] == [("compile-failed", "warning")]
    assert not report.models[0].compiled
    assert [problem.code for problem in context.warnings] == ["compile-failed"]
    assert "no-such-compiler" in context.warnings[0].message


def test_nothing_is_compiled_unless_it_is_asked_for(pool: ModelPool, tiny: Checkpoint) -> None:
    report = warm([shown(tiny.denoiser)], pool, "cpu")
    assert pool.compilation(tiny.denoiser) is None
    assert not report.models[0].compiled
