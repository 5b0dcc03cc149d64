"""Puts the parts of a server together: what the settings name, the workers, and the queue that they work on."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from sdgraph.cli.launching import launch
from sdgraph.cli.stores import Shelf, open_shelf
from sdgraph.cli.traces import sending_traces
from sdgraph.cli.warming import named_warming
from sdgraph.core.registry import Registry
from sdgraph.engine.stores.maintenance import Maintenance
from sdgraph.engine.worker.supervisor import Supervisor
from sdgraph.errors import StoreError
from sdgraph.payloads.places import CONFINED
from sdgraph.server.hub import EventHub
from sdgraph.server.kept import Kept
from sdgraph.server.library import Library
from sdgraph.server.metrics import Metrics, Sources
from sdgraph.server.needed import needed_digests
from sdgraph.server.room import Budget, Janitor
from sdgraph.server.runlog import log_event
from sdgraph.server.runs.alone import alone
from sdgraph.server.runs.database import open_database, sqlite_url
from sdgraph.server.runs.dispatcher import Dispatcher
from sdgraph.server.runs.estimates import Estimates
from sdgraph.server.runs.history import History
from sdgraph.server.runs.keeper import Keeper
from sdgraph.server.runs.queue import RunQueue
from sdgraph.server.state import ServerState
from sdgraph.settings import Settings

_PACKAGE = Path(__file__).parents[1]


@contextmanager
def server_state(
    settings: Settings, registry: Registry, devices: Sequence[str], warm: Sequence[str] = ()
) -> Generator[ServerState]:
    """The parts of a server with one worker for each device; workers start with the application.

    Each worker loads first what the workflows `warm` need, names or files. Raises SettingsError for the database,
    StoreError for the result store, WorkflowError for a workflow that there is not or that can't run.
    """
    library = Library(settings.home_folder / "workflows", _templates(), settings.max_nodes)
    warmings = [named_warming(text, library, registry, settings.max_nodes) for text in warm]
    engine = open_database(settings.database or sqlite_url(settings.home_folder / "server.db"))
    try:
        with _confined(), alone(engine), open_shelf(settings, registry) as shelf:
            history, estimates, hub = History(engine), Estimates(engine), EventHub(engine)
            keeper = Keeper(history, estimates, settings.history_runs, settings.history_days)
            workers = [
                Supervisor(name, launch(settings, device), warm=warmings)
                for name, device in zip(_names(devices), devices, strict=True)
            ]
            dispatcher = Dispatcher(RunQueue(engine, settings.queue_limit), workers, hub, keeper)
            janitor = _janitor(settings, engine)
            kept = Kept.in_home(
                settings.home_folder, settings.upload_limit_bytes, janitor.room_for_upload, settings.shown_folder
            )
            metrics = Metrics(hub, Sources(workers, history.counts, lambda: _store_bytes(shelf)))
            hub.observers.append(log_event)
            with _traced(settings, hub):
                yield ServerState(
                    registry,
                    shelf.store,
                    shelf.journal,
                    library,
                    settings.max_nodes,
                    dispatcher,
                    history,
                    estimates,
                    hub,
                    kept,
                    metrics,
                    workers,
                    janitor,
                )
    finally:
        engine.dispose()


@contextmanager
def _traced(settings: Settings, hub: EventHub) -> Generator[None]:
    """Send traces, if the settings say where to."""
    if settings.traces is None:
        yield
        return
    with sending_traces(settings.traces) as traces:
        hub.observers.append(traces.see)
        yield


def _janitor(settings: Settings, engine: Engine) -> Janitor:
    return Janitor(
        Budget(settings.uploads_folder, settings.uploads_budget_bytes),
        [
            Budget(settings.pictures_folder, settings.pictures_budget_bytes),
            Budget(settings.previews_folder, settings.previews_budget_bytes),
        ],
        lambda: needed_digests(engine, settings.home_folder / "workflows"),
    )


def _names(devices: Sequence[str]) -> list[str]:
    """A name for each worker: its device, and from the second one on a number."""
    before = [devices[:index].count(device) for index, device in enumerate(devices)]
    return [device if not count else f"{device} {count + 1}" for device, count in zip(devices, before, strict=True)]


def _store_bytes(shelf: Shelf) -> dict[str, int]:
    """What the stores hold that outlive the workers."""
    try:
        return {"disk": shelf.lasting.info().nbytes} if isinstance(shelf.lasting, Maintenance) else {}
    except StoreError:  # it can't be read just now
        return {}


@contextmanager
def _confined() -> Generator[None]:
    """Let workflows of this process and of its workers name no file: they come from elsewhere."""
    before = os.environ.get(CONFINED)
    os.environ[CONFINED] = "1"
    try:
        yield
    finally:
        os.environ.pop(CONFINED)
        if before is not None:
            os.environ[CONFINED] = before


def _templates() -> Path:
    """The workflows that ship: in the package once it is installed, beside it in a checkout."""
    installed = _PACKAGE / "assets" / "workflows"
    return installed if installed.is_dir() else _PACKAGE.parent / "workflows"
