"""Opens the result store and the journal that the settings name."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sdgraph.cli.streams import show_problems
from sdgraph.core.registry import Registry
from sdgraph.engine.journal import Journal
from sdgraph.engine.stores.base import NullStore, Payloads, ResultStore
from sdgraph.engine.stores.disk import DiskStore
from sdgraph.engine.stores.memory import MemoryStore
from sdgraph.engine.stores.mirrored import MirroredStore
from sdgraph.engine.stores.remote import Remote
from sdgraph.engine.stores.tiered import TieredStore
from sdgraph.errors import SettingsError
from sdgraph.settings import Settings


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where results are kept, and what is remembered of previous runs."""

    store: ResultStore
    lasting: ResultStore
    """The part that outlives this process."""
    journal: Journal | None


@contextmanager
def open_shelf(settings: Settings, registry: Registry) -> Generator[Shelf]:
    """The stores of a command. Raises StoreError [store-unusable]."""
    payloads = Payloads(registry.port_types)
    folder = settings.results_folder
    if folder is None:
        yield Shelf(MemoryStore(payloads, settings.memory_budget_bytes), NullStore(), None)
        return
    disk = DiskStore(folder, payloads, budget_bytes=settings.disk_budget_bytes)
    lasting = disk if settings.remote is None else MirroredStore(disk, Remote(settings.remote), payloads)
    store = TieredStore(payloads, MemoryStore(payloads, settings.memory_budget_bytes), lasting)
    try:
        yield Shelf(store, lasting, Journal(folder / "journal"))
    finally:
        store.close()
        show_problems(lasting.take_problems())


def results_folder(settings: Settings) -> Path:
    """The folder of the result store. Raises SettingsError [cache-off] when there is none."""
    if settings.results_folder is None:
        raise SettingsError("cache-off", "There is no result store: the cache is off.", "Name one with --cache DIR.")
    return settings.results_folder
