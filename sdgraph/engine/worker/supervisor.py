"""Keeps one worker going: starts it when it is needed, and again when it died, a little later each time.

A worker that was started loads the models that it is to have before it is given a run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sdgraph.engine.worker.frames import Message
from sdgraph.engine.worker.job import Job, Report, Warming
from sdgraph.engine.worker.process import Launch, RunItem, WorkerProcess
from sdgraph.errors import Problem, WorkerDied

WorkerState: TypeAlias = Literal["starting", "restarting", "warming", "idle", "busy"]

_log = logging.getLogger("sdgraph.worker")
_WARMING_TRIES = 2
"""Processes that may die over loading the models of one workflow; after them the worker goes on without."""


_DIED_OVER = Problem(
    "worker-died",
    "The worker's process ended while it loaded the models of this workflow, and did so again.",
    "The server's log says how. Most often the machine ran out of memory: let it warm up fewer models.",
)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a worker that died is started again: twice as long each time, in seconds."""

    first_s: float = 0.5
    most_s: float = 30.0

    def delay_s(self, deaths: int) -> float:
        """After so many deaths without a finished run between them."""
        return 0.0 if deaths == 0 else min(self.first_s * 2.0 ** min(deaths - 1, 30), self.most_s)


class Supervisor:
    """One worker, whatever process it is at the moment. It has one user at a time."""

    def __init__(
        self,
        name: str,
        launch: Launch,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        warm: Sequence[Warming] = (),
    ) -> None:
        """`warm` are the workflows whose models every process of the worker loads before its first run."""
        self.name = name
        self.starts = 0
        """Processes started so far."""
        self._launch = launch
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._deaths = 0
        self._process: WorkerProcess | None = None
        self._warm = tuple(warm)
        self._warming: str | None = None
        self._warmed: dict[str, Message] = {}
        self._died_over: dict[str, int] = {}
        self._runs = 0
        self._starting = asyncio.Lock()

    @property
    def process(self) -> WorkerProcess | None:
        """The process that is alive, if one is."""
        return self._process if self._process is not None and self._process.alive else None

    @property
    def vitals(self) -> Message:
        """What the worker last said of its memory and models; empty while it is down."""
        return self.process.vitals if self.process else {}

    @property
    def state(self) -> WorkerState:
        """What the worker does at the moment."""
        if self.process is None:
            return "restarting" if self.starts > 1 or self._process is not None else "starting"
        return "warming" if self._warming is not None else "busy" if self._runs else "idle"

    @property
    def warming(self) -> str | None:
        """The workflow whose models are being loaded."""
        return self._warming

    @property
    def warmed(self) -> Mapping[str, Message]:
        """What the loading of models came to in this process, by workflow."""
        return self._warmed

    @property
    def is_ready(self) -> bool:
        """Whether the worker is up and has all models that it is to have."""
        if self.process is None or self._warming is not None:
            return False
        return all(self._warmed.get(warming.name, {}).get("ready", False) for warming in self._warm)

    async def ready(self) -> WorkerProcess:
        """The worker, started and warmed if need be; tried again until it comes up.

        Ask before a run is taken from the queue.
        """
        async with self._starting:
            while (process := self.process) is None:
                if self._process is not None:
                    self._note_death()
                await self._sleep(self._backoff.delay_s(self._deaths))
                try:
                    self.starts += 1
                    self._process = await WorkerProcess.start(self._launch)
                    await self._warm_up(self._process)
                except WorkerDied as error:
                    self._deaths += 1
                    self._process = None
                    _log.error("worker %s: %s", self.name, error)
            return process

    async def _warm_up(self, process: WorkerProcess) -> None:
        """Load the models that the worker is to have. Raises WorkerDied."""
        self._warmed = {}
        try:
            for warming in self._warm:
                if self._died_over.get(warming.name, 0) >= _WARMING_TRIES:
                    self._warmed[warming.name] = {"ready": False, "models": [], "problems": [_DIED_OVER.to_json()]}
                    continue
                self._warming = warming.name
                self._warmed[warming.name] = await process.warm(warming)
        except WorkerDied:
            if self._warming is not None:
                self._died_over[self._warming] = self._died_over.get(self._warming, 0) + 1
            raise
        finally:
            self._warming = None

    async def run(self, job: Job) -> AsyncGenerator[RunItem]:
        """The events and previews of a run, and at last its report. Raises WorkerDied; the next run starts it again."""
        process = await self.ready()
        self._runs += 1
        try:
            async with aclosing(process.run(job)) as items:
                async for item in items:
                    if isinstance(item, Report):
                        self._deaths = 0
                    yield item
        finally:
            self._runs -= 1

    async def cancel(self, run_id: str) -> None:
        """Let a run stop at its next step."""
        if process := self.process:
            await process.cancel(run_id)

    async def show(self, key: str) -> Message | None:
        """What the stored result of a key looks like, by output; None when the worker does not have it.

        Nothing is started for it. Raises WorkerDied while the worker is down, TimeoutError when it has no time.
        """
        if (process := self.process) is None:
            raise WorkerDied(f"The worker {self.name} is not up.")
        return await process.show(key)

    async def stop(self) -> None:
        """End the worker."""
        async with self._starting:
            if self._process is not None:
                await self._process.stop()
                self._process = None

    def _note_death(self) -> None:
        self._deaths += 1
        self._process = None
        _log.warning("worker %s died and is started again", self.name)
