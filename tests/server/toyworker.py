"""A worker that performs runs of toys in this process, and waits where a test wants it to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from sdgraph.core.build import build_graph
from sdgraph.core.document import load_document
from sdgraph.core.registry import Registry
from sdgraph.engine.context import CancelToken
from sdgraph.engine.executor import Executor
from sdgraph.engine.plan import make_plan
from sdgraph.engine.stores.base import ResultStore
from sdgraph.engine.worker.frames import Preview
from sdgraph.engine.worker.job import Job, Report


class ToyWorker:
    """Performs runs with the engine. While `gate` is shut, a run waits before its first node."""

    name = "toys"
    starts = 1
    state = "idle"
    is_ready = True
    warming: str | None = None

    @property
    def vitals(self) -> Mapping[str, Any]:
        return {}

    @property
    def warmed(self) -> Mapping[str, Mapping[str, Any]]:
        return {}

    def __init__(self, registry: Registry, store: ResultStore) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self._registry = registry
        self._store = store
        self._cancel: dict[str, CancelToken] = {}

    async def ready(self) -> None:
        """It always is."""

    async def run(self, job: Job) -> AsyncGenerator[Mapping[str, Any] | Preview | Report]:
        self._cancel[job.run_id] = CancelToken()
        yield {"seq": 1, "run_id": job.run_id, "type": "run_started"}
        try:
            yield Report(await asyncio.to_thread(self.perform, job))
        finally:
            self._cancel.pop(job.run_id).cancel()

    def perform(self, job: Job) -> dict[str, Any]:
        cancel = self._cancel[job.run_id]
        while not cancel.cancelled and not self.gate.wait(0.01):
            pass
        graph = build_graph(load_document(dict(job.document)), self._registry, job.inputs)
        plan = make_plan(graph, self._store, outputs=job.outputs)
        report = Executor(self._registry, self._store).run(plan, cancel=cancel, run_id=job.run_id)
        return {
            "run_id": report.run_id,
            "status": report.status,
            "outputs": {name: [{"type": type(value).__name__}] for name, value in report.outputs.items()},
            "nodes": {name: node.to_json() for name, node in report.nodes.items()},
            "elapsed_s": report.elapsed_s,
            "peak_memory_bytes": 1,
            "problems": [problem.to_json() for problem in report.problems],
        }

    async def cancel(self, run_id: str) -> None:
        if run_id in self._cancel:
            self._cancel[run_id].cancel()

    async def show(self, key: str) -> Mapping[str, Any] | None:
        result = self._store.load(bytes.fromhex(key))
        return result and {name: {"text": type(value).__name__} for name, value in result.outputs.items()}

    async def stop(self) -> None:
        for cancel in self._cancel.values():
            cancel.cancel()
