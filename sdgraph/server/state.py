"""What the routes work with, and where their slow work is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ParamSpec, Protocol, TypeVar

from aiohttp import web

from sdgraph.core.registry import Registry
from sdgraph.engine.journal import Journal
from sdgraph.engine.stores.base import ResultStore
from sdgraph.server.hub import EventHub
from sdgraph.server.kept import Kept
from sdgraph.server.library import Library
from sdgraph.server.metrics import Metrics
from sdgraph.server.room import Janitor
from sdgraph.server.runs.dispatcher import Dispatcher
from sdgraph.server.runs.estimates import Estimates
from sdgraph.server.runs.history import History

P = ParamSpec("P")
T = TypeVar("T")
_THREADS = 4


class Workplace(Protocol):
    """A worker as routes see it; `sdgraph.engine.worker.supervisor.Supervisor` is one."""

    name: str
    starts: int

    @property
    def state(self) -> str:
        """What it does: starting, restarting, warming, idle or busy."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether it is up and has all models that it is to have."""
        ...

    @property
    def vitals(self) -> Mapping[str, Any]:
        """What it last said of its memory and models."""
        ...

    @property
    def warming(self) -> str | None:
        """The workflow whose models are being loaded."""
        ...

    @property
    def warmed(self) -> Mapping[str, Mapping[str, Any]]:
        """What that came to, by workflow: `{"ready", "problems"}`."""
        ...

    async def show(self, key: str) -> Mapping[str, Any] | None:
        """What a stored result looks like, by output; None if it does not have it. Raises WorkerDied, TimeoutError."""
        ...


@dataclass(frozen=True, slots=True)
class ServerState:
    """The parts of a running server."""

    registry: Registry
    store: ResultStore
    journal: Journal | None
    library: Library
    max_nodes: int
    dispatcher: Dispatcher
    history: History
    estimates: Estimates
    hub: EventHub
    kept: Kept
    metrics: Metrics
    workers: Sequence[Workplace]
    janitor: Janitor
    started_s: float = field(default_factory=time.monotonic)
    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, thread_name_prefix="sdgraph-server")
    )

    async def aside(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something that may take a moment (files, planning) on a thread, so that others are answered meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, lambda: work(*args, **kwargs))


STATE = web.AppKey("state", ServerState)
