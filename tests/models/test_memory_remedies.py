"""Memory that runs out: what is done about it, in which order, and what it changes of the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from sdgraph_nodes.empty_latents import EmptyLatents
from sdgraph_nodes.encode_text import EncodeText
from sdgraph_nodes.load_checkpoint import LoadCheckpoint
from sdgraph_nodes.load_vae import LoadVae
from sdgraph_nodes.sampler import Sampler
from sdgraph_nodes.vae import VaeDecode

from sdgraph import Executor, MemoryStore, Payloads, Registry, Workflow, build_graph, make_plan
from sdgraph.core.graph import Graph
from sdgraph.core.recovery import Recovery
from sdgraph.engine.report import RunReport
from sdgraph.models.attention_backend import processors
from sdgraph.models.checkpoint import Checkpoint, read_checkpoint, read_controlnet
from sdgraph.models.memory.recovery import MemoryRecovery, is_out_of_memory
from sdgraph.models.memory.thrift import Thrift, more_thrift, thrift
from sdgraph.models.network import open_network
from sdgraph.models.pool import ModelPool
from sdgraph.models.vae import decode_latents, encode_image
from sdgraph.payloads.control import Control, ControlBranch
from sdgraph.payloads.handles import VaeHandle
from sdgraph.payloads.latents import Latents
from tests.models.budgeted import Budgeted, peak_of
from tests.models.pools import GPU, Yard, handle_of
from tests.models.test_unet_network import conditioning, edges
from tests.toys import RecordingContext

ROUNDING = 1e-5
"""How much the order of sums may change numbers of about 1 in float32."""


def names(inputs: Mapping[str, Any], allowed: Any = "all", device: str = "cpu") -> list[str]:
    context = RecordingContext()
    context.device = device
    return [remedy.name for remedy in MemoryRecovery(allowed).remedies(inputs, context)]


def latents(checkpoint: Checkpoint, batch: int, side: int) -> Latents:
    generator = torch.Generator().manual_seed(3)
    return Latents(torch.randn(batch, 4, side, side, generator=generator), checkpoint.vae.space)


def test_remedies_go_from_what_changes_no_bit_to_what_changes_the_picture(tiny: Checkpoint) -> None:
    drawn = {"denoiser": tiny.denoiser, "latents": latents(tiny, 1, 8)}
    assert names(drawn) == ["free_memory", "one_at_a_time", "sliced_attention"]
    large = {"vae": tiny.vae, "latents": latents(tiny, 2, 48), "tile_px": 0}
    assert names(large, device=GPU) == ["free_memory", "one_at_a_time", "tiles_256", "tiles_128"]
    assert names(large, "exact", GPU) == names(large, device=GPU)
    assert names({**large, "vae": small_vae(tiny)}) == names(large, device=GPU)
    assert names({**large, "vae": small_vae(tiny)}, "exact") == ["free_memory", "one_at_a_time"]
    assert names({**large, "tile_px": 256}, device=GPU) == ["free_memory", "one_at_a_time", "tiles_128"]
    assert names({"vae": tiny.vae, "latents": latents(tiny, 1, 8), "tile_px": 0}) == ["free_memory"]
    assert names({"text_encoder": tiny.text_encoder}) == ["free_memory"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("not enough memory of the past"), False),
    ],
)
def test_errors_of_allocators_are_known_by_class_or_by_what_they_say(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
    assert MemoryRecovery().is_curable(error) is expected
    assert not MemoryRecovery("off").is_curable(error)


def test_exact_tiles_are_no_remedy_where_the_device_is_the_host(tiny: Checkpoint, pool: ModelPool) -> None:
    given = latents(tiny, 1, 32)
    assert names({"vae": tiny.vae, "latents": given, "tile_px": 0}) == ["free_memory"]
    with pool.lease(tiny.vae) as model:
        whole, tiled = (peak_of(partial(decode_latents, model, tiny.vae, given, tile)) for tile in (0, 128))
    assert tiled >= whole


def test_memory_is_freed_of_the_models_that_the_node_does_not_use() -> None:
    yard = Yard()
    yard.use("its own", "idle")
    context = RecordingContext(yard.pool)
    context.device = GPU
    first = next(MemoryRecovery().remedies({"net": handle_of("its own")}, context))
    with first.take():
        assert yard.places() == {"its own": GPU, "idle": "cpu"}


def predictions(pool: ModelPool, family: str, controlled: bool, **thrifty: Any) -> torch.Tensor:
    """Of two pictures under two prompts of different lengths, so that the batch is four."""
    checkpoint = read_checkpoint(f"synthetic:{family}-tiny")
    handle, control = checkpoint.denoiser, None
    if controlled:
        net = read_controlnet("synthetic:sd15-tiny/controlnet_canny")
        control = Control((ControlBranch(net, edges(2), strength=0.7),))
    prompts = [conditioning(seed, length, handle.conditioning_width) for seed, length in ((1, 77), (2, 154))]
    pooled = torch.linspace(-1, 1, handle.pooled_width or 1)[None]
    prompts = [replace(p, entries=(replace(p.entries[0], pooled=pooled),)) for p in prompts]
    x = torch.randn(2, handle.space.channels, 8, 8, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1, 1)
    with more_thrift(**thrifty), open_network(pool, handle, control) as network:
        found = network(x, torch.full((4,), 500.0), tuple(prompts))
        assert network.forwards == (4 if thrifty.get("one_at_a_time") else 1)
    return found


@pytest.mark.parametrize("thrifty", [{"one_at_a_time": True}, {"sliced_attention": True}])
@pytest.mark.parametrize(
    ("family", "controlled"), [("sd15", False), ("sd15", True), ("sdxl", False), ("sd3", False), ("flux", False)]
)
def test_sparing_networks_predict_the_same_but_for_rounding(
    family: str, controlled: bool, thrifty: Any, pool: ModelPool
) -> None:
    plain = predictions(pool, family, controlled)
    sparing = predictions(pool, family, controlled, **thrifty)
    assert (plain - sparing).abs().max() < ROUNDING
    assert torch.equal(predictions(pool, family, controlled), plain)


def test_slices_are_put_on_for_one_lease_and_taken_off_again(tiny: Checkpoint) -> None:
    pool = ModelPool()
    with pool.lease(tiny.denoiser) as model:
        before = processors(model)
    with more_thrift(sliced_attention=True), pool.lease(tiny.denoiser) as model:
        assert set(processors(model)) == {"SlicedAttnProcessor"}
    with pool.lease(tiny.denoiser) as model:
        assert processors(model) == before
    assert thrift() == Thrift()


def test_an_autoencoder_that_takes_pictures_one_by_one_gives_the_same_bits(tiny: Checkpoint, pool: ModelPool) -> None:
    given = latents(tiny, 3, 16)
    with pool.lease(tiny.vae) as model:
        plain = decode_latents(model, tiny.vae, given)
        back = encode_image(model, tiny.vae, plain)
        with more_thrift(one_at_a_time=True):
            sparing = decode_latents(model, tiny.vae, given)
            assert abs(sparing.pixels - plain.pixels).max() < ROUNDING
            assert (encode_image(model, tiny.vae, plain).samples - back.samples).abs().max() < ROUNDING


def test_each_remedy_lowers_the_peak_of_what_it_is_for(tiny: Checkpoint, pool: ModelPool) -> None:
    given, vae = latents(tiny, 2, 24), small_vae(tiny)
    with pool.lease(vae) as model:

        def decode() -> object:
            return decode_latents(model, vae, given)

        peaks = [peak_of(decode)]
        for thrifty in ({"one_at_a_time": True}, {"one_at_a_time": True, "tile_px": 128}):
            with more_thrift(**thrifty):
                peaks.append(peak_of(decode))
    assert peaks[1] < 0.6 * peaks[0]
    assert peaks[2] < 0.9 * peaks[1]


def small_vae(checkpoint: Checkpoint) -> VaeHandle:
    """The small autoencoder, whose tiles are blended."""
    found = checkpoint.denoiser.preview
    assert found is not None
    return found


class Studio:
    """Runs a small drawing workflow, with the small autoencoder, on a CPU with a budget."""

    def __init__(self, allowed: Any = "all") -> None:
        self.registry = Registry.installed()
        self.store = MemoryStore(Payloads(self.registry.port_types))
        self.executor = Executor(self.registry, self.store)
        self.executor.recovery = MemoryRecovery(allowed)

    def graph(self, width_px: int = 192, batch: int = 2) -> Graph:
        """Draws pictures from noise."""
        workflow = Workflow("memory")
        sd = workflow.add("sd", LoadCheckpoint(source="synthetic:sd15-tiny")).out
        prompt = workflow.add("prompt", EncodeText(text_encoder=sd.text_encoder, prompt="a star")).out.conditioning
        start = workflow.add("start", EmptyLatents(width_px=width_px, height_px=width_px, batch=batch)).out.latents
        sampler = Sampler(denoiser=sd.denoiser, latents=start, positive=prompt, negative=prompt, steps=1)
        drawn = workflow.add("sample", sampler).out
        small = workflow.add("small", LoadVae(source="synthetic:sd15-tiny/vae_tiny", space="sd1")).out
        image = workflow.add("image", VaeDecode(vae=small.vae, latents=drawn.latents)).out
        workflow.output("image", image.image)
        return build_graph(workflow.to_document(), self.registry)

    def run(self, width_px: int = 192, batch: int = 2) -> RunReport:
        return self.executor.run(make_plan(self.graph(width_px, batch), self.store))


def remedies(report: RunReport) -> list[tuple[str, str]]:
    return [(entry["node"], entry["name"]) for entry in report.resources if entry["type"] == "remedy"]


@pytest.fixture
def short_of(tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Budgeted]:
    """Gives decoding a share of the memory that it takes; everything else has enough."""
    from sdgraph_nodes import vae

    def decoding_peak() -> int:
        with ModelPool().lease(small_vae(tiny)) as model:
            return peak_of(lambda: decode_latents(model, small_vae(tiny), latents(tiny, 2, 24)))

    def short(share: float) -> Budgeted:
        meter = Budgeted(share * decoding_peak())

        def decode(*args: Any) -> Any:
            with meter:
                return decode_latents(*args)

        monkeypatch.setattr(vae, "decode_latents", decode)
        return meter

    return short


def test_a_run_that_fits_in_memory_takes_no_remedy(short_of: Callable[[float], Budgeted]) -> None:
    meter = short_of(1.01)
    report = Studio().run()
    assert (report.status, remedies(report), meter.failures) == ("done", [], 0)


def test_a_decode_that_does_not_fit_is_done_picture_by_picture_and_stored(
    short_of: Callable[[float], Budgeted],
) -> None:
    plain = Studio().run().outputs["image"].pixels
    meter = short_of(0.75)
    studio = Studio()
    report = studio.run()
    assert report.status == "done"
    assert remedies(report) == [("image", "free_memory"), ("image", "one_at_a_time")]
    assert meter.failures == 2
    assert meter.peak_bytes <= meter.budget_bytes
    assert abs(report.outputs["image"].pixels - plain).max() < ROUNDING
    assert report.problems == ()
    assert studio.run().nodes["image"].status == "hit"


def test_tiles_are_the_last_resort_are_said_and_leave_nothing_in_the_store(
    short_of: Callable[[float], Budgeted],
) -> None:
    plain = Studio().run().outputs["image"].pixels
    meter = short_of(0.52)
    studio = Studio()
    report = studio.run()
    assert report.status == "done"
    assert remedies(report) == [("image", name) for name in ("free_memory", "one_at_a_time", "tiles_128")]
    assert [(problem.code, problem.node) for problem in report.problems] == [("result-not-exact", "image")]
    assert meter.peak_bytes <= meter.budget_bytes
    assert report.outputs["image"].pixels.shape == plain.shape
    meter.budget_bytes = float("inf")
    again = studio.run()
    assert again.nodes["image"].status == "ran"
    assert (again.outputs["image"].pixels == plain).all()


def test_remedies_that_change_the_picture_can_be_forbidden(short_of: Callable[[float], Budgeted]) -> None:
    short_of(0.52)
    report = Studio("exact").run()
    assert report.status == "failed"
    [problem] = report.errors
    assert problem.code == "out-of-memory"
    assert "Tried: free_memory, one_at_a_time." in problem.message


def test_the_built_in_pack_brings_its_remedies(short_of: Callable[[float], Budgeted]) -> None:
    studio = Studio()
    found = Executor(studio.registry, studio.store).services.find(Recovery)
    assert isinstance(found, MemoryRecovery)
