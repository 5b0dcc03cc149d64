"""Events of all runs in one sequence without gaps, kept for clients that come back.

An event is stored before anybody is told, so that a number never means two things, also after the server was killed.
Progress is told to who listens and not stored: it carries the number of the last stored event. No client has a queue:
each reads on from where it is, in memory or in the database, and of progress and previews it gets the newest.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeAlias, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from sdgraph.engine.worker.frames import Preview
from sdgraph.server.events_table import EventTable, StoredEvent

P = ParamSpec("P")
T = TypeVar("T")
Place: TypeAlias = tuple[str, str]
"""A node of a run."""
Observer: TypeAlias = Callable[[Mapping[str, Any]], None]

_log = logging.getLogger("sdgraph.server")
KEPT_EVENTS = 100_000
"""Events in the database; older ones are forgotten."""
_IN_MEMORY = 4096
_MAX_WAITING = 4096
"""Events that wait to be stored before whoever has another one waits with it."""
_MAX_BATCH = 500
_RETRY_S = 1.0
_STOP_S = 5.0
_ENDS_NODE = ("node_finished", "node_failed", "node_cached")


class _Waiting(NamedTuple):
    """An event on its way: to be stored, or progress (without text to store) to be shown after those before it."""

    event: Mapping[str, Any]
    stored: StoredEvent | None


class Listener(Protocol):
    """Whoever wants to know that there is something, and then comes to get it."""

    def told(self) -> None:
        """There are events."""
        ...

    def progressed(self, place: Place) -> None:
        """A node has gone on."""
        ...

    def shown(self, place: Place) -> None:
        """There is a preview of a node."""
        ...


class EventHub:
    """Numbers events, stores them, and wakes those who listen. Lives on one event loop."""

    def __init__(self, engine: Engine, keep: int = KEPT_EVENTS, in_memory: int = _IN_MEMORY) -> None:
        self.told = 0
        """Number of the last event that clients may see."""
        self.first = 1
        """Number of the first event that is still kept."""
        self.progress: dict[Place, Mapping[str, Any]] = {}
        """The newest progress of each node that runs."""
        self.previews: dict[Place, bytes] = {}
        """The newest preview of each node that runs, as it is sent."""
        self.observers: list[Observer] = []
        """Called with each event as it is published: metrics, the log, traces."""
        self._table = EventTable(engine)
        self._keep = keep
        self._seq = 0
        self._recent: deque[StoredEvent] = deque(maxlen=in_memory)
        self._waiting: deque[_Waiting] = deque()
        self._room = asyncio.Event()
        self._more = asyncio.Event()
        self._listeners: set[Listener] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sdgraph-events")
        self._writing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on from the last event that is stored."""
        self._seq = self.told = await self._aside(self._table.last)
        self.first = await self._aside(self._table.first)
        self._writing = asyncio.create_task(self._write_all(), name="events")

    async def stop(self) -> None:
        """Store what waits, unless the database is away, and end."""
        if self._writing is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_S):
                    await self._stored()
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        self._thread.shutdown()

    async def _stored(self) -> None:
        while self._waiting:
            self._room.clear()
            await self._room.wait()

    async def publish(self, event: Mapping[str, Any]) -> int:
        """Take an event, whose `seq` if it has one is replaced; its number. Waits only while very many wait."""
        while len(self._waiting) >= _MAX_WAITING:
            self._room.clear()
            await self._room.wait()
        if event["type"] == "node_progress" and "note" not in event:
            self._waiting.append(_Waiting({**event, "seq": self._seq}, None))
        else:
            self._seq += 1
            numbered = {**event, "seq": self._seq}
            self._waiting.append(_Waiting(numbered, StoredEvent(self._seq, event["run_id"], _json(numbered))))
        self._more.set()
        for observe in self.observers:
            try:
                observe(event)
            except Exception:  # what only watches must not stop what happens
                _log.exception("an observer of events failed")
        return self._seq

    def show(self, preview: Preview) -> None:
        """Show what a picture looks like so far."""
        place = (preview.run_id, preview.node)
        self.previews[place] = preview.to_bytes()
        for listener in self._listeners:
            listener.shown(place)

    def join(self, listener: Listener) -> None:
        """Tell a listener from now on."""
        self._listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        """Tell it no more."""
        self._listeners.discard(listener)

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    async def after(self, seq: int, limit: int, run_id: str | None) -> Sequence[StoredEvent]:
        """At most `limit` events after a number that may be seen, of one run or of all."""
        oldest = self._recent[0].seq if self._recent else self.told + 1
        if seq + 1 >= oldest:
            found = list(islice(self._recent, seq + 1 - oldest, None))
        else:
            found = await self._aside(self._table.after, seq, limit, run_id)
        return [event for event in found if event.seq <= self.told and run_id in (None, event.run_id)][:limit]

    async def _write_all(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                batch = list(islice(self._waiting, _MAX_BATCH))
                await self._store([waiting.stored for waiting in batch if waiting.stored is not None])
                for waiting in batch:
                    self._waiting.popleft()
                    self._tell(waiting)
                self._room.set()
                for listener in self._listeners:
                    listener.told()

    async def _store(self, events: list[StoredEvent]) -> None:
        """Store events, however long the database is away."""
        while events:
            try:
                await self._aside(self._table.add, events, self._keep)
                self.first = max(self.first, events[-1].seq - self._keep + 1)
                return
            except SQLAlchemyError:
                _log.exception("events can't be stored, and are tried again")
                await asyncio.sleep(_RETRY_S)

    def _tell(self, waiting: _Waiting) -> None:
        event, run_id, node = waiting.event, waiting.event["run_id"], waiting.event.get("node", "")
        if waiting.stored is None:
            place = (run_id, node)
            self.progress[place] = event
            for listener in self._listeners:
                listener.progressed(place)
            return
        self._recent.append(waiting.stored)
        self.told = waiting.stored.seq
        if event["type"] in _ENDS_NODE:
            self._forget(lambda place: place == (run_id, node))
        elif event["type"] in ("run_finished", "run_queued"):
            self._forget(lambda place: place[0] == run_id)

    def _forget(self, over: Callable[[Place], bool]) -> None:
        for place in [place for place in {*self.progress, *self.previews} if over(place)]:
            self.progress.pop(place, None)
            self.previews.pop(place, None)

    async def _aside(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))


def _json(event: Mapping[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":"))
