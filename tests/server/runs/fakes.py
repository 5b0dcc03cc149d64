"""A worker that does what a test tells it, and an audience that remembers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from sdgraph.engine.worker.frames import Preview
from sdgraph.engine.worker.job import Job, Report
from sdgraph.errors import WorkerDied
from sdgraph.server.hub import EventHub
from tests.server.runs.asking import ended


class ScriptedWorker:
    """Performs each run when `go` is put: "done", "die" or "defect"."""

    def __init__(self, name: str = "w") -> None:
        self.name = name
        self.go: asyncio.Queue[str] = asyncio.Queue()
        self.began: asyncio.Queue[str] = asyncio.Queue()
        self.ended = 0
        self.stopped = False
        self._cancelled: dict[str, asyncio.Event] = {}

    async def ready(self) -> None:
        """It always is."""

    async def run(self, job: Job) -> AsyncGenerator[Mapping[str, Any] | Preview | Report]:
        self._cancelled[job.run_id] = asyncio.Event()
        try:
            yield {"seq": 1, "run_id": job.run_id, "type": "run_started"}
            yield Preview(job.run_id, "n", b"picture", "image/png")
            self.began.put_nowait(job.run_id)
            status = await self._outcome(job.run_id)
            yield {"seq": 2, "run_id": job.run_id, "type": "run_finished", "status": status}
            yield Report(ended(job.run_id, status))
        finally:
            self.ended += 1
            del self._cancelled[job.run_id]

    async def _outcome(self, run_id: str) -> str:
        go = asyncio.ensure_future(self.go.get())
        stop = asyncio.ensure_future(self._cancelled[run_id].wait())
        try:
            await asyncio.wait({go, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            go.cancel()
        if not go.done():
            return "cancelled"
        if go.result() == "die":
            raise WorkerDied("The worker process ended (signal 9).")
        if go.result() == "defect":
            raise RuntimeError("a defect")
        return go.result()

    async def cancel(self, run_id: str) -> None:
        if run_id in self._cancelled:
            self._cancelled[run_id].set()

    async def stop(self) -> None:
        self.stopped = True


class Listening:
    """All events in order, as short texts; and the server's hub, if there is one, hears them too."""

    def __init__(self, hub: EventHub | None = None) -> None:
        self._hub = hub
        self.events: list[tuple[str, str]] = []
        self.previews = 0
        self._more = asyncio.Condition()

    async def publish(self, event: Mapping[str, Any]) -> None:
        if self._hub:
            await self._hub.publish(event)
        async with self._more:
            said = f"{event['type']} {event['status']}" if "status" in event else event["type"]
            self.events.append((event["run_id"], said))
            self._more.notify_all()

    def show(self, preview: Preview) -> None:
        self.previews += 1
        if self._hub:
            self._hub.show(preview)

    def of(self, run_id: str) -> list[str]:
        return [said for found, said in self.events if found == run_id]

    async def heard(self, run_id: str, said: str) -> None:
        """Wait for an event, told by how its text begins."""
        async with asyncio.timeout(30), self._more:
            await self._more.wait_for(lambda: any(found.startswith(said) for found in self.of(run_id)))
