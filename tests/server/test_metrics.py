"""The numbers count what happened, one series for each type, and what can't be known has none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from sdgraph.server.metrics import Metrics, Sources
from tests.server.hub import database, running_hub


@dataclass
class Stand:
    """Stands in for a worker."""

    name: str = "cpu"
    starts: int = 1
    process: object | None = "alive"
    vitals: Mapping[str, Any] = field(default_factory=dict[str, Any])


async def values(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels, in the order of their names."""
    text = (await metrics.text()).decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def with_metrics(
    use: Callable[[Any, Metrics], Awaitable[None]], folder: Path, sources: Sources | None = None, **options: Any
) -> None:
    async def run() -> None:
        async with running_hub(database(folder)) as hub:
            await use(hub.publish, Metrics(hub, sources or Sources(), **options))

    asyncio.run(run())


def event(type: str, **more: Any) -> dict[str, Any]:
    return {"type": type, "run_id": "r", "node": "n", **more}


def test_nodes_hits_and_runs_are_counted_one_series_for_each_type(tmp_path: Path) -> None:
    async def use(publish: Any, metrics: Metrics) -> None:
        before = await values(metrics)
        assert not [name for name, *_ in before if name.startswith("sdgraph_node")]
        assert before["sdgraph_runs_total", "failed"] == 0
        for elapsed_s, node_type in ((0.02, "sd.encode_text"), (0.02, "sd.encode_text"), (2.0, "sample.stage")):
            await publish(event("node_finished", node_type=node_type, elapsed_s=elapsed_s))
        for tier in ("memory", "disk", "disk", None):
            await publish(event("node_cached", store=tier))
        await publish(event("node_failed", node_type="image.load"))
        await publish(event("run_finished", status="partial"))
        found = await values(metrics)
        assert found["sdgraph_node_seconds_count", "sd.encode_text"] == 2
        assert found["sdgraph_node_seconds_sum", "sample.stage"] == 2
        assert found["sdgraph_node_seconds_bucket", "1.0", "sample.stage"] == 0
        assert found["sdgraph_node_seconds_bucket", "3.0", "sample.stage"] == 1
        assert (found["sdgraph_hits_total", "disk"], found["sdgraph_hits_total", "shared"]) == (2, 1)
        assert found["sdgraph_node_failures_total", "image.load"] == 1
        assert found["sdgraph_runs_total", "partial"] == 1
        assert all(found[name] >= value for name, value in before.items() if "_total" in name[0])

    with_metrics(use, tmp_path)


def test_steps_are_counted_once_also_when_parts_or_several_are_told_at_once(tmp_path: Path) -> None:
    now = [100.0]

    async def use(publish: Any, metrics: Metrics) -> None:
        for done in (1, 1, 4, 20):
            await publish(event("node_progress", node_type="sample.stage", done=done, total=20))
        await publish(event("node_progress", node_type="sample.stage", done=20, total=20, note="finished early"))
        found = await values(metrics)
        assert found["sdgraph_steps_total", "sample.stage"] == 20
        assert found["sdgraph_steps_per_second",] == 2
        now[0] += 11
        assert (await values(metrics))["sdgraph_steps_per_second",] == 0
        await publish(event("run_finished", status="done"))
        await publish(event("node_progress", node_type="sample.stage", done=1, total=20))
        assert (await values(metrics))["sdgraph_steps_total", "sample.stage"] == 21

    with_metrics(use, tmp_path, clock=lambda: now[0])


def test_gauges_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    counts = {"queued": 3, "done": 7}
    worker = Stand(vitals={"models_bytes": 5, "models_loaded": 2, "device_bytes": {"cuda:0": 9}})
    sources = Sources([worker], lambda: counts, lambda: {"disk": 1000})

    async def use(publish: Any, metrics: Metrics) -> None:
        found = await values(metrics)
        assert found["sdgraph_queue_length",] == 3
        assert (found["sdgraph_runs_kept", "done"], found["sdgraph_runs_kept", "running"]) == (7, 0)
        assert found["sdgraph_store_bytes", "disk"] == 1000
        assert (found["sdgraph_models_bytes", "cpu"], found["sdgraph_device_bytes", "cuda:0", "cpu"]) == (5, 9)
        assert found["sdgraph_worker_up", "cpu"] == 1
        assert found["process_resident_memory_bytes",] > 1e6
        counts["queued"], worker.process, worker.vitals = 4, None, {}
        found = await values(metrics)
        assert (found["sdgraph_queue_length",], found["sdgraph_worker_up", "cpu"]) == (4, 0)
        assert ("sdgraph_models_bytes", "cpu") not in found

    with_metrics(use, tmp_path, sources)


def test_without_a_device_that_tells_its_memory_there_is_no_such_series(tmp_path: Path) -> None:
    async def use(publish: Any, metrics: Metrics) -> None:
        assert not [name for name, *_ in await values(metrics) if name == "sdgraph_device_bytes"]

    with_metrics(use, tmp_path, Sources([Stand(vitals={"device_bytes": {}})]))


def test_a_defect_of_what_watches_stops_no_event(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_hub(database(tmp_path)) as hub:

            def fails(event: Mapping[str, Any]) -> None:
                raise ZeroDivisionError

            hub.observers.append(fails)
            metrics = Metrics(hub, Sources())
            assert await hub.publish(event("run_finished", status="done")) == 1
            assert (await values(metrics))["sdgraph_runs_total", "done"] == 1

    asyncio.run(run())
