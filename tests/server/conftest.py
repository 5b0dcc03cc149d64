"""A real server on a free port of this machine, with the toys of the command line's tests as its nodes."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sdgraph.core.registry import Registry
from sdgraph.engine.journal import Journal
from sdgraph.engine.stores.base import Payloads
from sdgraph.engine.stores.memory import MemoryStore
from sdgraph.server.app import make_app
from sdgraph.server.guard import make_guard
from sdgraph.server.hub import EventHub
from sdgraph.server.kept import Kept
from sdgraph.server.library import Library
from sdgraph.server.metrics import Metrics, Sources
from sdgraph.server.needed import needed_digests
from sdgraph.server.room import Budget, Janitor
from sdgraph.server.runs.database import open_database, sqlite_url
from sdgraph.server.runs.dispatcher import Dispatcher
from sdgraph.server.runs.estimates import Estimates
from sdgraph.server.runs.history import History
from sdgraph.server.runs.keeper import Keeper
from sdgraph.server.runs.queue import RunQueue
from sdgraph.server.state import ServerState
from tests.core.documents import data, node
from tests.core.toys import registry as toys
from tests.server.runs.fakes import Listening
from tests.server.toyworker import ToyWorker

MAX_NODES = 500
MAX_QUEUED = 4
UPLOADS_BUDGET = PICTURES_BUDGET = 104_000
TEMPLATE = data({"o": node("oscillator")}, {"wave": "o.wave"}, name="template", description="One wave.")


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def codes(self) -> list[str]:
        """The codes of a problem document."""
        assert self.headers["content-type"].startswith("application/problem+json"), self.headers
        return [problem["code"] for problem in self.json["problems"]]


Ask = Callable[..., Reply]


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    port: int
    registry: Registry
    store: MemoryStore
    folder: Path
    worker: ToyWorker
    loop: asyncio.AbstractEventLoop
    listening: Listening

    def heard(self, run_id: str, said: str) -> None:
        """Wait for an event of a run."""
        asyncio.run_coroutine_threadsafe(self.listening.heard(run_id, said), self.loop).result()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send one request; `body` goes as JSON, bytes as they are. Header names have `_` for `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, content, sent)
            reply = connection.getresponse()
            found = {name.lower(): value for name, value in reply.getheaders()}
            return Reply(reply.status, found, reply.read().decode())
        finally:
            connection.close()


@contextmanager
def serving(folder: Path, *, host: str = "127.0.0.1", token: str | None = None) -> Generator[Running]:
    """A server as it would be for `serve --host HOST`; it listens on loopback all the same."""
    registry = toys()
    store = MemoryStore(Payloads(registry.port_types))
    templates = folder / "templates"
    templates.mkdir()
    (templates / "template.json").write_text(json.dumps(TEMPLATE))
    library = Library(folder / "workflows", templates, MAX_NODES)
    engine = open_database(sqlite_url(folder / "server.db"))
    hub = EventHub(engine)
    worker, listening = ToyWorker(registry, store), Listening(hub)
    history, estimates = History(engine), Estimates(engine)
    queue, keeper = RunQueue(engine, limit=MAX_QUEUED), Keeper(history, estimates, keep_runs=100)
    dispatcher = Dispatcher(queue, [worker], listening, keeper)
    journal = Journal(folder / "journal")
    home, metrics = folder / "home", Metrics(hub, Sources())
    janitor = Janitor(
        Budget(home / "uploads", UPLOADS_BUDGET),
        [Budget(home / "pictures", PICTURES_BUDGET)],
        lambda: needed_digests(engine, folder / "workflows"),
    )
    kept = Kept.in_home(home, 10**6, janitor.room_for_upload)
    state = ServerState(
        registry,
        store,
        journal,
        library,
        MAX_NODES,
        dispatcher,
        history,
        estimates,
        hub,
        kept,
        metrics,
        [worker],
        janitor,
    )
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(make_app(state, make_guard(host, token)))
    loop.run_until_complete(runner.setup())
    loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield Running(runner.addresses[0][1], registry, store, folder, worker, loop, listening)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(runner.cleanup())
        loop.close()
        engine.dispose()


@pytest.fixture
def server(tmp_path: Path) -> Generator[Running]:
    """A server on loopback without a token."""
    with serving(tmp_path) as running:
        yield running
