"""Brings runs from the queue to the workers and what they say to those who listen: one task for each worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar

from sdgraph.engine.worker.frames import Preview
from sdgraph.engine.worker.job import Job, Report
from sdgraph.errors import WorkerDied
from sdgraph.server.runs.queue import RunQueue
from sdgraph.server.runs.records import ClaimedRun, RunRequest, RunState

P = ParamSpec("P")
T = TypeVar("T")
Event: TypeAlias = Mapping[str, Any]

_log = logging.getLogger("sdgraph.server")
_AFTER_FAILURE_S = 1.0
"""How long a worker's task waits before it goes on after a defect, or when the database is away."""


class Worker(Protocol):
    """What performs runs, one after the other; `sdgraph.engine.worker.supervisor.Supervisor` is one."""

    name: str

    async def ready(self) -> object:
        """Return when a run can be given to it."""
        ...

    def run(self, job: Job) -> AsyncGenerator[Event | Preview | Report]:
        """Events and previews, and at last the report. Raises WorkerDied."""
        ...

    async def cancel(self, run_id: str) -> None:
        """Let the run stop at its next step."""
        ...

    async def stop(self) -> None:
        """End the worker."""
        ...


class Audience(Protocol):
    """Those who listen to events."""

    async def publish(self, event: Event) -> object:
        """Tell of an event, and remember it for those who come back."""
        ...

    def show(self, preview: Preview) -> None:
        """Show a picture while it is made."""
        ...


class Dispatcher:
    """The queue at work. Everything that changes the order of events goes through here."""

    def __init__(
        self,
        queue: RunQueue,
        workers: Sequence[Worker],
        audience: Audience,
        ended: Callable[[ClaimedRun, Mapping[str, Any]], None] | None = None,
    ) -> None:
        """`ended` is called on the database's thread with every report."""
        self._queue = queue
        self._workers = workers
        self._audience = audience
        self._ended = ended
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sdgraph-database")
        self._turn = asyncio.Lock()
        self._more = asyncio.Event()
        self._performing: dict[str, Worker] = {}
        self._told_to_stop: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Let runs wait again that a killed server left, and begin to perform."""
        for run_id in await self._aside(self._queue.recover):
            await self._tell_waits(run_id, "the server was restarted")
        self._tasks = [
            asyncio.create_task(self._serve(worker), name=f"worker {worker.name}") for worker in self._workers
        ]

    async def stop(self) -> None:
        """Stop performing; runs that are not done wait again, for the next server."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        self._thread.shutdown()

    async def enqueue(self, request: RunRequest) -> str:
        """Let a run wait; its id. Raises WorkflowError [queue-full]."""
        return await self._tell_queued(self._queue.enqueue, request)

    async def retry(self, run_id: str, user: str) -> str:
        """Ask again for a run that ended; the id of the new one. Raises WorkflowError as `RunQueue.retry` does."""
        return await self._tell_queued(self._queue.retry, run_id, user)

    async def cancel(self, run_id: str) -> RunState:
        """End a run that waits, or tell its worker to stop. Raises WorkflowError [run-unknown], [run-ended]."""
        status = await self._aside(self._queue.cancel, run_id)
        if status == "cancelled":
            await self._tell_ended(run_id, status)
        elif worker := self._performing.get(run_id):
            self._told_to_stop.add(run_id)
            await worker.cancel(run_id)
        return status

    async def forget(self, run_id: str) -> None:
        """Remove a run that ended from the history. Raises WorkflowError [run-unknown], [run-not-ended]."""
        await self._aside(self._queue.forget, run_id)

    async def pin(self, run_id: str, pinned: bool) -> None:
        """Let a run stay in the history, with its pictures, or no longer. Raises WorkflowError [run-unknown]."""
        await self._aside(self._queue.pin, run_id, pinned)

    async def change(self, run_id: str, priority: int | None, before: str | None) -> None:
        """Move a run that waits. Raises WorkflowError [run-unknown], [run-not-queued]."""
        if before is not None:
            await self._aside(self._queue.move_before, run_id, before)
        if priority is not None:
            await self._aside(self._queue.prioritise, run_id, priority)
        await self._audience.publish({"type": "run_moved", "run_id": run_id})

    async def _tell_queued(self, ask: Callable[P, str], *args: P.args, **kwargs: P.kwargs) -> str:
        async with self._turn:  # nobody hears that a run started before it was queued
            run_id = await self._aside(ask, *args, **kwargs)
            await self._audience.publish({"type": "run_queued", "run_id": run_id})
        self._more.set()
        return run_id

    async def _tell_waits(self, run_id: str, why: str) -> None:
        await self._audience.publish({"type": "run_queued", "run_id": run_id, "reason": why})

    async def _tell_ended(self, run_id: str, status: str, elapsed_s: float = 0.0) -> None:
        event = {"type": "run_finished", "run_id": run_id, "status": status, "elapsed_s": elapsed_s}
        await self._audience.publish(event)

    async def _serve(self, worker: Worker) -> None:
        while True:
            try:
                await self._serve_once(worker)
            except Exception:
                _log.exception("worker %s: a run could not be brought to an end", worker.name)
                await asyncio.sleep(_AFTER_FAILURE_S)

    async def _serve_once(self, worker: Worker) -> None:
        await worker.ready()
        self._more.clear()
        async with self._turn:
            run = await self._claim(worker)
        if run is None:
            await self._more.wait()
            return
        self._performing[run.run_id] = worker
        try:
            await self._perform(worker, run)
        finally:
            del self._performing[run.run_id]
            self._told_to_stop.discard(run.run_id)

    async def _claim(self, worker: Worker) -> ClaimedRun | None:
        claiming = asyncio.ensure_future(self._aside(self._queue.claim, worker.name))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            if run := await claiming:
                await self._aside(self._queue.release, run.run_id)
            raise

    async def _perform(self, worker: Worker, run: ClaimedRun) -> None:
        outputs = None if run.outputs is None else tuple(run.outputs)
        job = Job(run.run_id, run.document, run.inputs, outputs)
        try:
            async with aclosing(worker.run(job)) as items:
                async for item in items:
                    await self._hand_on(worker, run, item)
        except asyncio.CancelledError:
            match await self._aside(self._queue.release, run.run_id):
                case "queued":
                    await self._tell_waits(run.run_id, "the server is stopping")
                case "cancelled":
                    await self._tell_ended(run.run_id, "cancelled")
                case _:
                    pass
            raise
        except WorkerDied as error:
            _log.warning("run %s: %s", run.run_id, error)
            await self._after_death(run, error.problem.message)
        except Exception:
            _log.exception("run %s could not be followed", run.run_id)
            await self._after_death(run, "The server could not follow it.")

    async def _hand_on(self, worker: Worker, run: ClaimedRun, item: Event | Preview | Report) -> None:
        if run.run_id in self._told_to_stop:
            await worker.cancel(run.run_id)  # it may have been told before it had begun
        if isinstance(item, Preview):
            self._audience.show(item)
        elif isinstance(item, Report):
            await _to_the_end(self._finish(run, item.data))
        elif item["type"] != "run_finished":  # which is told when the report can be asked for
            await self._audience.publish(item)

    async def _finish(self, run: ClaimedRun, report: Mapping[str, Any]) -> None:
        if await self._aside(self._keep, run, report):
            await self._tell_ended(run.run_id, report["status"], report["elapsed_s"])

    def _keep(self, run: ClaimedRun, report: Mapping[str, Any]) -> bool:
        kept = self._queue.finish(run.run_id, report)
        if self._ended:
            self._ended(run, report)
        return kept

    async def _after_death(self, run: ClaimedRun, why: str) -> None:
        async with self._turn:
            status = await self._aside(self._queue.requeue, run.run_id)
            if status == "queued":
                await self._tell_waits(run.run_id, why)
            else:
                await self._tell_ended(run.run_id, status)
        self._more.set()

    async def _aside(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Let something that must not be left half done end, also when the server stops meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
