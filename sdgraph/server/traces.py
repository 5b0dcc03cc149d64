"""Traces: one span for each run, and below it one for each node that ran or failed, for OpenTelemetry.

An observer of the hub. Spans of nodes are as long as the node's own measurement; hits are events of the run's span.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_MAX_RUNS = 1000
"""Runs whose end was never told, after which the oldest is given up."""


class Traces:
    """Turns events into spans of a tracer. Needs `sdgraph[otel]`."""

    def __init__(self, tracer: Tracer, clock_ns: Callable[[], int] = time.time_ns) -> None:
        """`clock_ns` gives nanoseconds since 1970."""
        self._tracer = tracer
        self._clock_ns = clock_ns
        self._runs: dict[str, Span] = {}
        self._begun_ns: dict[tuple[str, str], int] = {}

    def see(self, event: Mapping[str, Any]) -> None:
        """Take an event."""
        run_id = event["run_id"]
        match event["type"]:
            case "run_started":
                self._begin(run_id, event)
            case "run_queued" | "run_finished":  # queued again: its worker died
                self._end(run_id, event.get("status", "interrupted"))
            case "node_started":
                self._begun_ns[run_id, event["node"]] = self._clock_ns()
            case "node_finished" | "node_failed":
                self._node(run_id, event)
            case "node_cached":
                if span := self._runs.get(run_id):
                    hit = {"sdgraph.node": event["node"], "sdgraph.store": event.get("store") or "shared"}
                    span.add_event("hit", hit, timestamp=self._clock_ns())
            case _:
                pass

    def _begin(self, run_id: str, event: Mapping[str, Any]) -> None:
        from opentelemetry.context import Context

        while len(self._runs) >= _MAX_RUNS:
            self._end(next(iter(self._runs)), "unknown")
        said = {f"sdgraph.{name}": event[name] for name in ("nodes", "to_run") if name in event}
        attributes = {"sdgraph.run_id": run_id, **said}
        self._runs[run_id] = self._tracer.start_span(
            "run", context=Context(), attributes=attributes, start_time=self._clock_ns()
        )

    def _end(self, run_id: str, status: str) -> None:
        from opentelemetry.trace import StatusCode

        if span := self._runs.pop(run_id, None):
            span.set_attribute("sdgraph.status", status)
            if status in ("failed", "interrupted"):
                span.set_status(StatusCode.ERROR, status)
            span.end(self._clock_ns())
        self._begun_ns = {place: begun for place, begun in self._begun_ns.items() if place[0] != run_id}

    def _node(self, run_id: str, event: Mapping[str, Any]) -> None:
        from opentelemetry.trace import StatusCode, set_span_in_context

        now_ns = self._clock_ns()
        begun_ns = self._begun_ns.pop((run_id, event["node"]), now_ns)
        if "elapsed_s" in event:
            begun_ns = now_ns - round(event["elapsed_s"] * 1e9)
        if (parent := self._runs.get(run_id)) is None:
            return
        attributes = {"sdgraph.run_id": run_id, "sdgraph.node": event["node"]}
        name = event.get("node_type", "node")
        span = self._tracer.start_span(name, set_span_in_context(parent), attributes=attributes, start_time=begun_ns)
        if problem := event.get("problem"):
            span.set_attribute("sdgraph.code", problem["code"])
            span.set_status(StatusCode.ERROR, problem["message"])
        span.end(now_ns)
