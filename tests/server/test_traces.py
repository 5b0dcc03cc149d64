"""Spans as a collector gets them: one for each run, one for each node, as long as they were."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from sdgraph.server.traces import Traces

SECOND = 10**9


class Stage:
    """Traces into memory, with a clock that is set."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.traces = Traces(provider.get_tracer("test"), lambda: round(self.now_s * SECOND))

    def see(self, at_s: float, type: str, run_id: str = "r", **more: Any) -> None:
        self.now_s = 1000 + at_s
        self.traces.see({"type": type, "run_id": run_id, **more})

    @property
    def spans(self) -> dict[str, Any]:
        return {span.name: span for span in self._spans.get_finished_spans()}


def times(span: Any) -> tuple[float, float]:
    return span.start_time / SECOND - 1000, span.end_time / SECOND - 1000


def test_a_run_is_a_span_and_its_nodes_are_below_it() -> None:
    stage = Stage()
    stage.see(0, "run_started", nodes=3, to_run=2)
    stage.see(1, "node_cached", node="sd", store="disk")
    stage.see(2, "node_started", node="positive", node_type="sd.encode_text")
    stage.see(4, "node_finished", node="positive", node_type="sd.encode_text", elapsed_s=1.5)
    stage.see(5, "node_started", node="image", node_type="sd.vae_decode")
    problem = {"code": "node-failed", "message": "sd.vae_decode failed."}
    stage.see(8, "node_failed", node="image", node_type="sd.vae_decode", problem=problem)
    stage.see(9, "run_finished", status="partial", elapsed_s=9.0)
    run, encode, decode = (stage.spans[name] for name in ("run", "sd.encode_text", "sd.vae_decode"))
    assert (times(run), times(encode), times(decode)) == ((0, 9), (2.5, 4), (5, 8))
    assert run.parent is None
    assert {span.parent.span_id for span in (encode, decode)} == {run.context.span_id}
    assert dict(run.attributes) == {
        "sdgraph.run_id": "r", "sdgraph.nodes": 3, "sdgraph.to_run": 2, "sdgraph.status": "partial"
    }  # fmt: skip
    assert [(event.name, dict(event.attributes)) for event in run.events] == [
        ("hit", {"sdgraph.node": "sd", "sdgraph.store": "disk"})
    ]
    assert encode.attributes["sdgraph.node"] == "positive"
    assert encode.status.status_code is StatusCode.UNSET
    assert (decode.status.status_code, decode.attributes["sdgraph.code"]) == (StatusCode.ERROR, "node-failed")


def test_runs_at_once_are_traces_of_their_own() -> None:
    stage = Stage()
    for run_id in ("a", "b"):
        stage.see(0, "run_started", run_id)
    stage.see(1, "node_finished", "a", node="n", node_type="of.a", elapsed_s=0.5)
    stage.see(1, "node_finished", "b", node="n", node_type="of.b", elapsed_s=0.5)
    assert stage.spans["of.a"].context.trace_id != stage.spans["of.b"].context.trace_id


def test_a_run_whose_worker_died_ends_as_an_error_and_its_second_try_is_a_span_of_its_own() -> None:
    stage = Stage()
    stage.see(0, "run_started")
    stage.see(1, "node_started", node="n", node_type="t")
    stage.see(2, "run_queued", reason="the worker ended")
    assert times(stage.spans["run"]) == (0, 2)
    assert stage.spans["run"].status.status_code is StatusCode.ERROR
    stage.see(3, "run_started")
    stage.see(4, "run_finished", status="done", elapsed_s=1.0)
    assert (times(stage.spans["run"]), stage.spans["run"].status.status_code) == ((3, 4), StatusCode.UNSET)


def test_events_of_a_run_that_nobody_saw_begin_are_no_error() -> None:
    stage = Stage()
    for event in ("node_started", "node_finished", "node_failed", "node_cached"):
        stage.see(0, event, node="n", problem={"code": "c", "message": "m"})
    stage.see(1, "run_finished", status="cancelled", elapsed_s=1.0)
    assert stage.spans == {}
