"""`/metrics`: what the server does in numbers, for Prometheus.

Counters come from events as they pass; gauges are read when they are asked for. What can't be known has no series, and
is not 0: a worker without a CUDA device reports no device memory.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from sdgraph.server.hub import EventHub
from sdgraph.server.routing import Route

_BUCKETS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
_RATE_OVER_S = 10.0
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_STATES = ("queued", "running", "done", "partial", "failed", "cancelled")


class Watched(Protocol):
    """A worker as metrics see it; `sdgraph.engine.worker.supervisor.Supervisor` is one."""

    name: str
    starts: int

    @property
    def process(self) -> object | None:
        """None while it is down."""
        ...

    @property
    def vitals(self) -> Mapping[str, Any]:
        """What it last said of its memory and models."""
        ...


class Sources(NamedTuple):
    """Where gauges are read."""

    workers: Sequence[Watched] = ()
    run_counts: Callable[[], Mapping[str, int]] = dict
    """Runs by status."""
    store_bytes: Callable[[], Mapping[str, int]] = dict
    """What the result store holds, by tier."""


class Metrics:
    """The numbers of one server. An observer of its hub."""

    def __init__(self, hub: EventHub, sources: Sources, clock: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._sources = sources
        self._clock = clock
        self._registry = CollectorRegistry()
        self._read: tuple[Mapping[str, int], Mapping[str, int]] = ({}, {})
        self._steps_done: dict[tuple[str, str], int] = {}
        self._recent: deque[tuple[float, int]] = deque()
        self._counters()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        hub.observers.append(self.see)

    def _counters(self) -> None:
        into = self._registry
        self._runs = Counter("sdgraph_runs", "Runs that ended, by status.", ["status"], registry=into)
        for status in _STATES[2:]:
            self._runs.labels(status)
        self._nodes = Histogram(
            "sdgraph_node_seconds", "Time of nodes that ran, by type.", ["type"], buckets=_BUCKETS_S, registry=into
        )
        self._failures = Counter("sdgraph_node_failures", "Nodes that failed, by type.", ["type"], registry=into)
        self._hits = Counter("sdgraph_hits", "Results that were read, by tier of the store.", ["tier"], registry=into)
        self._steps = Counter(
            "sdgraph_steps",
            "Steps that nodes reported, by type; their rate is steps per second.",
            ["type"],
            registry=into,
        )

    def see(self, event: Mapping[str, Any]) -> None:
        """Count an event."""
        node_type = str(event.get("node_type", "unknown"))
        match event["type"]:
            case "run_finished":
                self._runs.labels(event["status"]).inc()
                self._steps_done = {key: done for key, done in self._steps_done.items() if key[0] != event["run_id"]}
            case "node_finished":
                self._nodes.labels(node_type).observe(event["elapsed_s"])
            case "node_failed":
                self._failures.labels(node_type).inc()
            case "node_cached":
                self._hits.labels(event.get("store") or "shared").inc()
            case "node_progress":
                self._count_steps(event, node_type)
            case _:
                pass

    def collect(self) -> Iterable[Metric]:
        """The gauges (called by the registry)."""
        counts, stored = self._read
        yield _gauge("sdgraph_queue_length", "Runs that wait.", {(): counts.get("queued", 0)})
        by_status = {(status,): counts.get(status, 0) for status in _STATES}
        yield _gauge("sdgraph_runs_kept", "Runs that are remembered, by status.", by_status, "status")
        yield _gauge("sdgraph_store_bytes", "What is stored, by tier.", {(k,): v for k, v in stored.items()}, "tier")
        yield _gauge("sdgraph_listeners", "Clients that hear of events.", {(): self._hub.listeners})
        yield _gauge("sdgraph_steps_per_second", "Steps of the last 10 s.", {(): self._rate()})
        yield from self._of_workers()

    async def text(self) -> bytes:
        """Everything in the text format of Prometheus."""
        self._read = await asyncio.to_thread(lambda: (self._sources.run_counts(), self._sources.store_bytes()))
        return generate_latest(self._registry)

    def _of_workers(self) -> Iterable[Metric]:
        workers = self._sources.workers
        up = {(worker.name,): int(worker.process is not None) for worker in workers}
        yield _gauge("sdgraph_worker_up", "Whether the worker's process is alive.", up, "worker")
        starts = {(worker.name,): worker.starts for worker in workers}
        yield _gauge("sdgraph_worker_starts", "Processes that were started for the worker.", starts, "worker")
        for name, said, help in (
            ("models_bytes", "models_bytes", "Weights that the worker holds."),
            ("models_loaded", "models_loaded", "Models that the worker's process has loaded so far."),
        ):
            found = {(worker.name,): worker.vitals[said] for worker in workers if said in worker.vitals}
            yield _gauge(f"sdgraph_{name}", help, found, "worker")
        devices = {
            (worker.name, device): nbytes
            for worker in workers
            for device, nbytes in worker.vitals.get("device_bytes", {}).items()
        }
        yield _gauge("sdgraph_device_bytes", "Memory of the device that the worker holds.", devices, "worker", "device")

    def _count_steps(self, event: Mapping[str, Any], node_type: str) -> None:
        """Count what was done since the last report: some nodes report parts of steps, or several at once."""
        if "done" not in event or "note" in event:
            return
        place = (event["run_id"], event["node"])
        more = max(event["done"] - self._steps_done.get(place, 0), 0)
        self._steps_done[place] = event["done"]
        if more:
            self._steps.labels(node_type).inc(more)
            self._recent.append((self._clock(), more))

    def _rate(self) -> float:
        while self._recent and self._recent[0][0] < self._clock() - _RATE_OVER_S:
            self._recent.popleft()
        return sum(count for _, count in self._recent) / _RATE_OVER_S


METRICS = web.AppKey("metrics", Metrics)


async def get_metrics(request: web.Request) -> web.Response:
    """Give what the server does in numbers, as Prometheus reads them."""
    return web.Response(body=await request.app[METRICS].text(), headers={"Content-Type": _CONTENT_TYPE})


ROUTES = (Route("GET", "/metrics", get_metrics, None),)


def _gauge(name: str, help: str, values: Mapping[tuple[str, ...], float], *labels: str) -> Metric:
    family = GaugeMetricFamily(name, help, labels=labels)
    for found, value in values.items():
        family.add_metric(found, value)
    return family
