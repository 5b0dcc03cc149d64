"""What nodes take is measured while they run, and predicts what other sizes will take."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from sdgraph.cli.memory import peak_memory_bytes
from sdgraph.core.metering import Metering
from sdgraph.errors import SdgraphError
from sdgraph.models.checkpoint import Checkpoint
from sdgraph.models.memory import meter
from sdgraph.models.memory.meter import MemoryMeter
from sdgraph.models.memory.needs import needs_of
from sdgraph.models.memory.process import ProcessGauge
from sdgraph.models.memory.thrift import more_thrift
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.facts import PictureFact
from tests.models.budgeted import Budgeted
from tests.models.test_memory_remedies import Studio, latents
from tests.toys import RecordingContext

MIB = 2**20


class TensorGauge:
    """Reads the bytes of living tensors."""

    def start(self) -> None:
        self._mode = Budgeted()
        self._mode.__enter__()

    def used_bytes(self) -> int:
        return 0

    def peak_bytes(self) -> int:
        self._mode.__exit__(None, None, None)
        return self._mode.peak_bytes


def measure_by(kind: Callable[[], meter.Gauge], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every device is read by such a gauge."""

    def gauge_of(device: str) -> meter.Gauge:
        return kind()

    monkeypatch.setattr(meter, "gauge_of", gauge_of)


def test_the_peak_of_a_process_is_read_and_forgotten() -> None:
    gauge = ProcessGauge()
    gauge.start()
    before = gauge.used_bytes()
    block = bytearray(os.urandom(1)) * (64 * MIB)
    peak = gauge.peak_bytes()
    assert before is not None
    assert peak is not None
    assert peak - before > 60 * MIB
    del block
    gauge.start()
    assert (gauge.peak_bytes() or 0) < peak
    # The kernel counts pages of threads in batches, so readings are some pages apart.
    assert (peak_memory_bytes() or 0) > peak - MIB


def decode(found: MemoryMeter, tiny: Checkpoint, context: RecordingContext, side: int, batch: int = 1) -> int:
    """Decode under the meter; returns the pixels."""
    from sdgraph.models.vae import decode_latents

    given = latents(tiny, batch, side)
    inputs: dict[str, Any] = {"vae": tiny.vae, "latents": given, "tile_px": 0}
    with found.measuring("sd.vae_decode", inputs, context), context.service(ModelPool).lease(tiny.vae) as model:
        decode_latents(model, tiny.vae, given)
    return meter.pixels_in(inputs)


def entry_of(tiny: Checkpoint) -> str:
    return meter.entry_of("sd.vae_decode", (tiny.vae,), "cpu")


def test_two_sizes_predict_what_a_third_takes(tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    measure_by(TensorGauge, monkeypatch)
    context, found = RecordingContext(ModelPool()), MemoryMeter()
    decode(found, tiny, context, 4)  # loads
    small, medium = decode(found, tiny, context, 8), decode(found, tiny, context, 12, batch=2)
    expected = found.table.predict(entry_of(tiny), 20 * 20 * 64)
    pixels = decode(found, tiny, context, 20)
    measured = found.table.predict(entry_of(tiny), pixels)
    assert (small, medium, pixels) == (64 * 64, 2 * 96 * 96, 160 * 160)
    assert measured is not None
    assert expected == pytest.approx(measured, rel=0.1)


def test_weights_that_a_node_loads_are_not_what_it_takes(tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    class Steps:
        """A process that grows by the weights and by 1,000 bytes."""

        def start(self) -> None:
            self.pool = context.service(ModelPool)

        def used_bytes(self) -> int:
            return 5000

        def peak_bytes(self) -> int:
            return 5000 + self.pool.held_bytes + 1000

    measure_by(Steps, monkeypatch)
    context, found = RecordingContext(ModelPool()), MemoryMeter()
    pixels = decode(found, tiny, context, 4)
    assert found.table.predict(entry_of(tiny), pixels) == 1000
    assert found.table.devices["cpu"] > 2**30


def test_nodes_that_fail_or_compute_sparingly_are_not_measured(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure_by(TensorGauge, monkeypatch)
    context, found = RecordingContext(ModelPool()), MemoryMeter()
    with more_thrift(one_at_a_time=True):
        pixels = decode(found, tiny, context, 4)
    with pytest.raises(SdgraphError), found.measuring("sd.vae_decode", {"text": "no model"}, context):
        raise SdgraphError("toy", "It failed.")
    assert found.table.predict(entry_of(tiny), pixels) is None


def test_a_run_fills_the_table_for_the_plan_of_the_next(tiny: Checkpoint) -> None:
    studio = Studio()
    studio.executor.recovery = None
    assert studio.run(width_px=64, batch=1).status == "done"
    found = studio.executor.services.get(Metering)
    assert isinstance(found, MemoryMeter)
    graph = studio.graph(width_px=64, batch=1)
    needs = {need.node: need for need in needs_of(graph, set(graph.nodes))}
    types = {need.type for need in needs.values()}
    assert types == {"sd.encode_text", "sample.start", "sample.stage", "sd.vae_decode"}
    assert {need.pixels for need in needs.values()} == {0, 64 * 64}
    measured = {name: found.table.predict(need.entry("cpu"), need.pixels or 0) for name, need in needs.items()}
    assert None not in measured.values()
    larger = studio.graph(width_px=128, batch=2)
    assert {need.pixels for need in needs_of(larger, set(larger.nodes))} == {0, 2 * 128 * 128}
    assert needs_of(graph, set()) == ()


def test_what_a_network_will_be_shown_is_known_before_the_run() -> None:
    graph = Studio().graph(width_px=128, batch=2)
    (stage,) = [name for name in graph.nodes if graph.nodes[name].spec.type == "sample.stage"]
    whole = {need.type: need for need in needs_of(graph, set(graph.nodes))}
    assert (whole["sample.stage"].shown, whole["sample.stage"].prompts) == (PictureFact(128, 128, 2), 2)
    assert whole["sample.start"].prompts == 0  # it asks the model for its noise levels only
    graph.nodes[stage].values["tile_px"] = 64
    del graph.nodes[stage].links["negative"]
    tiled = {need.type: need for need in needs_of(graph, set(graph.nodes))}
    assert (tiled["sample.stage"].shown, tiled["sample.stage"].prompts) == (PictureFact(64, 64, 2), 1)
    assert tiled["sample.stage"].pixels == 2 * 128 * 128
