"""One worker process, seen from the event loop that drives it.

It is given a channel on its standard streams, keeps it alive with a sign of life each second, and is ended when it
says nothing for too long, when a cancelled run does not stop, or when it sends what no worker sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from sdgraph.engine.worker.frames import BadFrame, Message, Preview, encode, read_async
from sdgraph.engine.worker.inbox import Inbox
from sdgraph.engine.worker.job import Job, Report, Warming, report_without_nodes
from sdgraph.errors import Problem, WorkerDied, WorkflowError

RunItem: TypeAlias = Message | Preview | Report
"""An event as JSON, a preview, or at last the report."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a worker may take before it is ended, in seconds; None for any time."""

    start_s: float = 60.0
    """Until it is ready."""
    silence_s: float = 60.0
    """Without a sign of life."""
    cancel_s: float = 30.0
    """From the cancelling of a run to its end; loading a model can't be interrupted."""
    run_silence_s: float | None = None
    """Of a run, without an event."""
    show_s: float = 20.0
    """To show a stored result."""
    stop_s: float = 5.0
    """To end by itself."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a worker is started: a program that serves `loop.WorkerLoop` on its standard streams."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Beside the environment of this process."""
    limits: Limits = field(default_factory=Limits)


class WorkerProcess:
    """A process that runs jobs, one after the other. Made by `start`."""

    def __init__(self, process: asyncio.subprocess.Process, limits: Limits) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.vitals: Message = {}
        """What its last sign of life said: memory, models."""
        self._process = process
        self._sending, self._receiving = process.stdin, process.stdout
        self._limits = limits
        self._inboxes: dict[str, Inbox[RunItem]] = {}
        self._cancelled: set[str] = set()
        self._asks: dict[int, asyncio.Future[Message | None]] = {}
        self._warmings: dict[str, asyncio.Future[Message]] = {}
        self._asked = itertools.count(1)
        self._why = ""
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read_all())

    @classmethod
    async def start(cls, launch: Launch) -> WorkerProcess:
        """A worker that is ready. Raises WorkerDied."""
        pipe = asyncio.subprocess.PIPE
        environment = {**os.environ, **launch.environment}
        try:
            process = await asyncio.create_subprocess_exec(*launch.command, stdin=pipe, stdout=pipe, env=environment)
        except OSError as error:
            raise WorkerDied(f"No worker process can be started: {error.strerror or error}.") from None
        worker = cls(process, launch.limits)
        try:
            async with asyncio.timeout(launch.limits.start_s):
                await asyncio.shield(worker._ready)
        except TimeoutError:
            worker._kill(f"it was not ready after {launch.limits.start_s:g} s")
            await worker._reading
            raise worker._death() from None
        except BaseException:
            worker._kill("it was not wanted any more")
            raise
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be given a run."""
        return not self._reading.done()

    async def run(self, job: Job) -> AsyncGenerator[RunItem]:
        """The events and previews of a run as they come, and at last its report. Raises WorkerDied.

        Whoever leaves before the report cancels the run.
        """
        inbox = self._inboxes[job.run_id] = Inbox[RunItem]()
        item: RunItem | None = None
        try:
            await self._send({"type": "run", "job": job.to_json()})
            while not isinstance(item, Report):
                item = await self._next(job.run_id, inbox)
                yield item
        finally:
            inbox.close()
            del self._inboxes[job.run_id]
            if not isinstance(item, Report):
                self._ask_to_cancel(job.run_id)
            self._cancelled.discard(job.run_id)

    async def cancel(self, run_id: str) -> None:
        """Let a run stop at its next step. A worker that does not listen is ended, and the run is cancelled then."""
        if run_id in self._inboxes and run_id not in self._cancelled:
            self._cancelled.add(run_id)
            self._ask_to_cancel(run_id)
            asyncio.get_running_loop().call_later(self._limits.cancel_s, self._end_if_running, run_id)

    async def warm(self, warming: Warming) -> Message:
        """Load what a workflow needs, after what the worker was told before: `{"ready", "models", "problems"?}`.

        It may take minutes, and nothing is cancelled by leaving. Raises WorkerDied.
        """
        answer = self._warmings[warming.name] = asyncio.get_running_loop().create_future()
        try:
            self._require_alive()
            await self._send({"type": "warm", "name": warming.name, "document": dict(warming.document)})
            return await answer
        finally:
            del self._warmings[warming.name]

    async def show(self, key: str) -> Message | None:
        """What the stored result of a key looks like, by output; None when the worker does not have it. Raises
        WorkerDied, TimeoutError when it has too much else to do, and WorkflowError when it may not be shown."""
        number = next(self._asked)
        answer = self._asks[number] = asyncio.get_running_loop().create_future()
        try:
            self._require_alive()
            await self._send({"type": "show", "ask": number, "key": key})
            async with asyncio.timeout(self._limits.show_s):
                return await answer
        finally:
            del self._asks[number]

    async def stop(self) -> None:
        """End the process: by its own will if it listens, otherwise by force."""
        self._why = self._why or "it was told to stop"
        with contextlib.suppress(WorkerDied):
            await self._send({"type": "stop"})
        try:
            async with asyncio.timeout(self._limits.stop_s):
                await asyncio.shield(self._reading)
        except TimeoutError:
            self._kill("it did not stop")
            await self._reading

    def kill(self) -> None:
        """End the process at once."""
        self._kill("it was ended")

    # The channel.

    async def _read_all(self) -> None:
        """Hand out what the worker says until it says no more; then see to it that it is gone."""
        try:
            while True:
                # Only the time in which nothing came counts, not that in which nobody took it.
                async with asyncio.timeout(self._limits.silence_s if self._ready.done() else None):
                    frame = await read_async(self._receiving)
                if frame is None:
                    break
                await self._hand_out(frame)
        except TimeoutError:
            self._why = self._why or f"it gave no sign of life for {self._limits.silence_s:g} s"
        except (BadFrame, KeyError, TypeError) as error:
            self._why = self._why or f"it said what no worker says ({error})"
        finally:
            await self._see_it_gone()
            self._sending.close()
            if not self._ready.done():
                self._ready.set_exception(self._death())
            for inbox in self._inboxes.values():
                inbox.end()
            for answer in (*self._asks.values(), *self._warmings.values()):
                if not answer.done():
                    answer.set_exception(self._death())

    async def _see_it_gone(self) -> None:
        """Wait for the end of a process that closed its channel; of one that is not wanted any more, make it."""
        if not self._why:  # asyncio loses the exit code of a process that is killed when it has just ended
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.stop_s):
                    await self._process.wait()
        self._kill(self._why or "it closed its channel")
        await self._process.wait()

    async def _hand_out(self, frame: Message | Preview) -> None:
        if isinstance(frame, Preview):
            await self._put(frame.run_id, frame)
            return
        match frame["type"]:
            case "event":
                await self._put(frame["event"]["run_id"], frame["event"])
            case "report":
                await self._put(frame["run_id"], Report(frame["report"]))
            case "warmed":
                if (warmed := self._warmings.get(frame["name"])) and not warmed.done():
                    warmed.set_result(frame["report"])
            case "shown":
                if (answer := self._asks.get(frame["ask"])) and not answer.done():
                    if "problem" in frame:
                        answer.set_exception(WorkflowError([Problem(**frame["problem"])]))
                    else:
                        answer.set_result(frame["outputs"])
            case "alive":
                self.vitals = frame
            case "ready":
                self._ready.set_result(None)
            case unknown:
                raise BadFrame(f"there is no message {unknown!r}")

    async def _put(self, run_id: str, item: RunItem) -> None:
        if inbox := self._inboxes.get(run_id):
            await inbox.put(item)

    async def _next(self, run_id: str, inbox: Inbox[RunItem]) -> RunItem:
        try:
            async with asyncio.timeout(self._limits.run_silence_s):
                item = await inbox.take()
        except TimeoutError:
            self._kill(f"its run said nothing for {self._limits.run_silence_s:g} s")
            item = None
        if item is None:
            await self._reading
            if run_id not in self._cancelled:
                raise self._death()
            said = Problem("run-cancelled", f"The run was cancelled, and its worker ended: {self._why}.")
            return Report(report_without_nodes(run_id, "cancelled", said))
        return item

    def _require_alive(self) -> None:
        if not self.alive:
            raise self._death()

    async def _send(self, message: Message) -> None:
        try:
            self._sending.write(encode(message))
            await self._sending.drain()
        except (ConnectionError, RuntimeError):  # RuntimeError: the transport is closed
            await self._reading
            raise self._death() from None

    def _ask_to_cancel(self, run_id: str) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._sending.write(encode({"type": "cancel", "run_id": run_id}))

    def _end_if_running(self, run_id: str) -> None:
        if run_id in self._cancelled:
            self._kill(f"it did not stop {self._limits.cancel_s:g} s after its run was cancelled")

    def _kill(self, why: str) -> None:
        if self._process.returncode is None:
            self._why = self._why or why
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _death(self) -> WorkerDied:
        code = self._process.returncode
        how = "" if code is None else f" (signal {-code})" if code < 0 else f" (exit code {code})"
        why = f": {self._why}" if self._why else ""
        return WorkerDied(f"The worker process ended{how}{why}.")
