"""Looking after a disk store: what it holds, what stays, what goes. For people and the commands that they type."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.base import Provenance, Result
from sdgraph.engine.stores.checkpoints import Checkpoints
from sdgraph.engine.stores.index import Index, IndexRow
from sdgraph.engine.stores.leases import Leases
from sdgraph.engine.stores.objects import ObjectFiles
from sdgraph.engine.stores.pins import Pins
from sdgraph.engine.stores.sqlite import ROOM_BYTES, has_no_room
from sdgraph.engine.stores.upkeep import collect, count_objects, objects_of, size_bytes
from sdgraph.errors import StoreError


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What a disk store holds."""

    folder: Path
    entries: int
    objects: int
    nbytes: int
    pinned: int
    checkpoints: int
    """Nodes that were interrupted and can go on where they were."""
    checkpoint_bytes: int


@dataclass(frozen=True, slots=True)
class EntryInfo:
    """What is known of a stored result without reading its payloads."""

    key: CacheKey
    node_type: str
    node_version: int
    elapsed_s: float
    nbytes: int
    used_at: float
    pinned: bool
    outputs: Mapping[str, str]
    """The port type of each output, empty for plain values."""
    made: Provenance | None


class Maintenance(ABC):
    """The part of a disk store that looks after it.

    Its methods raise StoreError [store-unusable] where those of a result store would report a miss: whoever asks for
    them wants to know.
    """

    folder: Path
    checkpoints: Checkpoints
    _index: Index
    _objects: ObjectFiles
    _leases: Leases
    _pins: Pins
    _writes: bool
    """Whether results are stored; not after a write has failed."""

    @abstractmethod
    def _load(self, key: CacheKey, *, thorough: bool = False) -> Result | None:
        """The result of a key, None where it is missing or damaged.

        A thorough look compares files with their names, not with a faster digest, and does not count as use.
        """

    def info(self) -> StoreInfo:
        """Counts and bytes, as the store keeps account of them; `verify` and `gc` count anew."""
        with self._maintained():
            objects, nbytes = self._index.totals() or self._count()
            pinned, left = len(self._pins.all()), self.checkpoints.totals()
            return StoreInfo(self.folder, self._index.count(), objects, nbytes, pinned, *left)

    def show(self, key: CacheKey) -> EntryInfo:
        """What is known of a result. Raises StoreError [result-missing]."""
        with self._maintained():
            row = self._index.get(key)
            if row is None:
                raise missing(key.hex())
            manifest = json.loads(row.manifest)
            return EntryInfo(
                key,
                manifest["node_type"],
                manifest["node_version"],
                row.cost_s,
                row.nbytes,
                row.used_at,
                key in self._pins.all(),
                {name: part["type"] for name, part in manifest["outputs"].items()},
                Provenance.from_json(manifest.get("made")),
            )

    def key_from(self, text: str) -> CacheKey:
        """The key of the only result whose key begins so. Raises StoreError [result-missing, key-ambiguous]."""
        try:
            first, last = (bytes.fromhex(text.ljust(64, digit)) for digit in "0f")
        except ValueError:
            raise missing(text) from None
        with self._maintained():
            found = self._index.between(first, last)
        if not found:
            raise missing(text)
        if len(found) > 1:
            message = f"Several results have a key that begins with {text}."
            raise StoreError("key-ambiguous", message, "Write more of it.")
        return found[0]

    def pin(self, key: CacheKey) -> None:
        """Let a result stay, whatever the budget. Raises StoreError [result-missing]."""
        with self._maintained():
            if not self._index.has(key):
                raise missing(key.hex())
            self._index.sync()
            self._pins.add(key)
            self._pins.sync()

    def unpin(self, key: CacheKey) -> bool:
        """Whether the result was pinned."""
        with self._maintained():
            return self._pins.remove(key)

    def verify(self) -> tuple[int, int]:
        """Read everything against its digests; what is damaged is removed. Returns how many were good and bad."""
        with self._maintained():
            self._index.check()
            found = [self._load(key, thorough=True) is not None for key in self._index.all_keys()]
            self._count()
            return found.count(True), found.count(False)

    def gc(self, budget_bytes: int) -> tuple[int, int]:
        """Remove the entries least worth keeping until the objects fit the budget, and files that nothing names.

        Checkpoints go when they are a week old, or their node has its result. What is pinned, or used by a run that is
        going on, stays. Returns the number of entries removed and the bytes freed.
        """
        with self._maintained():
            freed_before = self.checkpoints.collect(self._index.has)
            removed_before = self._make_room()
            removed, freed = collect(self._index, self._objects, budget_bytes, self._may_go())
            return removed_before[0] + removed, freed_before + removed_before[1] + freed

    def clear(self, *, pinned: bool = False) -> int:
        """Remove everything that is not pinned, or everything. Returns the number of entries removed."""
        with self._maintained():
            removed_before = self._make_room()[0]
            kept = frozenset[CacheKey]() if pinned else self._pins.all()
            with self._index.alone():  # as `collect` does
                rows = [row for row in self._index.rows() if row.key not in kept]
                for row in rows:
                    self._index.remove(row.key)
            with self._index.alone():
                named = {digest for row in self._index.rows() for digest in objects_of(row.manifest)}
                for digest, path in self._objects.all():
                    if digest and digest not in named:  # another process may be writing a temporary file
                        path.unlink(missing_ok=True)
            self.checkpoints.clear()
            for key in self._pins.all() - kept:
                self._pins.remove(key)
            self._count()
            return removed_before + len(rows)

    def _make_room(self) -> tuple[int, int]:
        """On a disk that is full, remove what has to go first: not even removing an entry works without some room.

        Returns the number of entries removed and the bytes freed. Who is killed in between leaves entries that are
        found to be missing their files.
        """
        try:
            if not self._index.full:
                self._index.try_to_write()
                self._writes = self._index.writable
                return 0, 0
        except sqlite3.Error as error:
            if not has_no_room(self.folder, error):
                raise
        rows, may_go = list(self._index.rows()), self._may_go()
        gone: set[str] = set()
        freed = 0
        for row in filter(may_go, rows):
            for digest in objects_of(row.manifest) - gone:
                freed += size_bytes(self._objects.path(digest))
                self._objects.path(digest).unlink(missing_ok=True)
                gone.add(digest)
            if shutil.disk_usage(self.folder).free >= ROOM_BYTES:
                break
        self._index.reopen()
        self._writes = True
        removed = [row.key for row in rows if not gone.isdisjoint(objects_of(row.manifest))]
        for key in removed:
            self._index.remove(key)
        return len(removed), freed

    @contextmanager
    def _maintained(self) -> Generator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise unusable(self.folder, error) from error

    def _may_go(self) -> Callable[[IndexRow], bool]:
        """Whether an entry may be removed: nobody pinned it, and no run that is going on has used it."""
        now = time.time()  # before looking for runs: what one that begins from here on saves is younger
        pinned, oldest_run = self._pins.all(), self._leases.oldest_run()
        before = now if oldest_run is None else min(now, oldest_run)
        return lambda row: row.key not in pinned and row.used_at <= before

    def _count(self) -> tuple[int, int]:
        """Count the objects, and write that down for the next time if there is room."""
        counted = count_objects(self._objects)
        try:
            self._index.set_totals(*counted)
        except sqlite3.Error as error:
            if not has_no_room(self.folder, error):
                raise
        return counted


def missing(key: str) -> StoreError:
    return StoreError("result-missing", f"No stored result has the key {key}.", "`sdgraph plan FILE --json` has keys.")


def unusable(folder: Path, error: Exception) -> StoreError:
    return StoreError(
        "store-unusable",
        f"The result store {folder} can't be used: {error}.",
        "Choose another folder with --cache DIR, or --cache off.",
    )
