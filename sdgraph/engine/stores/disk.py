"""Results on disk: an SQLite index of JSON manifests, and content-addressed safetensors files.

Whatever happens to the files, a read gives the exact result that was saved or a reported miss. Objects are written
before the row that names them, so a process killed at any moment leaves the store usable.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from sdgraph.core.porttype import Blob
from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.base import Payloads, Release, Result, nothing_to_release
from sdgraph.engine.stores.checkpoints import Checkpoints
from sdgraph.engine.stores.index import DamagedRow, Index, IndexRow
from sdgraph.engine.stores.leases import Leases
from sdgraph.engine.stores.maintenance import Maintenance, unusable
from sdgraph.engine.stores.manifest import put_together, read_digests, take_apart
from sdgraph.engine.stores.objects import DamagedObject, ObjectFiles, Written, make_folder
from sdgraph.engine.stores.pins import Pins
from sdgraph.engine.stores.sqlite import has_no_room, is_code
from sdgraph.engine.stores.upkeep import collect, objects_of
from sdgraph.engine.stores.writecost import WriteCost
from sdgraph.errors import Problem

FORMAT_FOLDER = "v1"
"""Index and objects of one store format; another format gets another folder, so no version misreads or removes files
of another."""

_SYNC_S = 0.1
"""What took as long to compute is safe from a loss of power at once, and everything after as long or with `flush`."""
_FREE_SPACE = "Free space with `sdgraph cache gc`, or choose another folder with --cache DIR."
_TRIES = 5
"""How often to write a result whose files others remove meanwhile."""
_WORTH_CLAIMING_S = 1e-3
"""Ten times what taking a lease and giving it back takes."""


class DiskStore(Maintenance):
    """A `ResultStore` in a folder, shared by all processes that use the folder.

    Raises StoreError [store-unusable] if the folder can't be made or its index can't be opened. A folder that can't be
    written to is read.
    """

    def __init__(
        self,
        folder: Path,
        payloads: Payloads,
        *,
        budget_bytes: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
        leases: Leases | None = None,
    ) -> None:
        """With `budget_bytes`, what is least worth keeping is removed when the objects have become more than that."""
        self.folder = folder
        self._budget_bytes = budget_bytes
        self._payloads = payloads
        self._clock = clock
        self._cost = WriteCost()
        self._unsynced = False
        self._synced_at = clock()
        self._problems: list[Problem] = []
        self._told: set[str] = set()
        self._problem_lock = threading.Lock()
        self.checkpoints = Checkpoints(folder / FORMAT_FOLDER / "checkpoints", payloads)
        self._objects = ObjectFiles(folder / FORMAT_FOLDER / "objects")
        try:
            make_folder(folder / FORMAT_FOLDER)
            self._index = Index(folder / FORMAT_FOLDER / "index.sqlite3", self._index_damaged)
        except (OSError, sqlite3.Error) as error:
            raise unusable(folder, error) from error
        self._leases = leases or Leases(folder / FORMAT_FOLDER / "leases.sqlite3")
        self._pins = Pins(folder / FORMAT_FOLDER / "pins")
        self._writes = self._index.writable
        if self._index.full:
            message = f"Results are not stored, because the disk of {folder} is full."
            self._report("store-disk-full", message, _FREE_SPACE, once=True)
        elif not self._writes:
            message = f"Results are not stored, because the folder {folder} can't be written to."
            self._report("store-read-only", message, "Stored results are used all the same.")

    def find(self, key: CacheKey) -> str | None:
        try:
            return "disk" if self._index.has(key) else None
        except sqlite3.Error as error:
            self._unreadable(error)
            return None

    def load(self, key: CacheKey) -> Result | None:
        return self._load(key)

    def digests(self, key: CacheKey) -> Mapping[str, str] | None:
        try:
            row = self._index.get(key)
        except (sqlite3.Error, DamagedRow):
            return None  # `load` says so
        return None if row is None else read_digests(row.manifest)

    def _load(self, key: CacheKey, *, thorough: bool = False) -> Result | None:
        try:
            row = self._index.get(key)
            if row is None:
                return None
            read = self._objects.read_by_name if thorough else self._objects.read
            result = put_together(json.loads(row.manifest), self._payloads, read)
            if not thorough:
                self._touch(row)
        except FileNotFoundError:
            if self.find(key) is not None:  # or somebody has cleaned up meanwhile
                self._discard(key, "a file of it is missing")
        except (sqlite3.Error, OSError, MemoryError, ImportError) as error:
            self._unreadable(error)  # the entry may be good; only reading it failed
        except DamagedObject as error:
            self._discard(key, str(error), error.digest)
        except Exception as error:  # whatever stands in a damaged file, codecs included, is a miss
            self._discard(key, str(error) or type(error).__name__)
        else:
            return result
        return None

    def _touch(self, row: IndexRow) -> None:
        try:
            self._index.touch(row)
        except sqlite3.Error:
            return  # a store that can't be written to is no reason to fail a hit

    def wants(self, result: Result, *, keep: bool = False) -> bool:
        return self._writes and (keep or result.elapsed_s >= self._cost.predict_s(self._payloads.size_bytes(result)))

    def save(self, key: CacheKey, result: Result, *, keep: bool = False) -> None:
        if not self.wants(result, keep=keep):
            return
        started = self._clock()
        try:
            written = self._write(key, result)
            if written is None:
                return
            nbytes = sum(one.nbytes for one in written)
            new = [one.nbytes for one in written if one.is_new]
            if new:
                self._index.add_to_totals(len(new), sum(new))
            self._unsynced = True
            if result.elapsed_s >= _SYNC_S or self._clock() - self._synced_at >= _SYNC_S:
                self._sync()
        except (OSError, sqlite3.Error) as error:
            self._not_written(error)
            return
        self._cost.learn(nbytes, self._clock() - started)
        if new and self._budget_bytes is not None:
            self._keep_to(self._budget_bytes)

    def _write(self, key: CacheKey, result: Result) -> list[Written] | None:
        """Write the objects of a result, then its row. None if it can't leave memory. Raises OSError, sqlite3.Error."""
        for attempt in range(_TRIES):
            encoded = self._encode(result)
            if encoded is None:
                return None
            manifest, written = encoded
            try:
                with self._index.alone():
                    for one in written:
                        self._objects.touch(one.digest)
                    self._index.put(key, manifest, sum(one.nbytes for one in written), result.elapsed_s)
                return written
            except FileNotFoundError:  # somebody has cleaned up in between
                if attempt == _TRIES - 1:
                    raise
        return None

    def _sync(self) -> None:
        self._unsynced = False
        self._index.sync()
        self._synced_at = self._clock()

    def _keep_to(self, budget_bytes: int) -> None:
        """Make room when the store has outgrown its budget; a tenth more than needed, so that it is not soon again."""
        try:
            totals = self._index.totals() or self._count()
            if totals[1] > budget_bytes:
                collect(self._index, self._objects, budget_bytes * 9 // 10, self._may_go())
        except (OSError, sqlite3.Error) as error:
            self._unreadable(error)

    def _not_written(self, error: OSError | sqlite3.Error) -> None:
        if isinstance(error, FileNotFoundError) and self.folder.is_dir():
            hint = "Others clean up the store all the time: let them do that less often."
            self._report("store-busy", "A result was not stored: its files were removed again and again.", hint)
            return
        if isinstance(error, sqlite3.Error) and is_code(error, sqlite3.SQLITE_BUSY):
            hint = "Another process keeps it locked; if none is running, the file system does not support locks."
            self._report("store-busy", f"A result was not stored: {error}.", hint, once=True)
            return
        self._writes = False  # failing again at every node helps nobody
        self._report(
            "store-disk-full" if has_no_room(self.folder, error) else "store-unwritable",
            f"Results are no longer stored, because writing to {self.folder} failed: {error}.",
            _FREE_SPACE,
            once=True,
        )

    def _encode(self, result: Result) -> tuple[bytes, list[Written]] | None:
        written: list[Written] = []

        def write(blobs: Mapping[str, Blob]) -> tuple[str, str]:
            written.append(self._objects.write(blobs))
            return written[-1].digest, written[-1].check

        manifest = take_apart(result, self._payloads, write)
        return None if manifest is None else (json.dumps(manifest).encode(), written)

    def raw(self, key: CacheKey) -> tuple[str, dict[str, Path]] | None:
        """An entry as it is stored: its manifest, and the files of its objects by digest. Raises sqlite3.Error."""
        row = self._index.get(key)
        if row is None:
            return None
        return row.manifest.decode(), {digest: self._objects.path(digest) for digest in objects_of(row.manifest)}

    def _discard(self, key: CacheKey, said: str, damaged_object: str | None = None) -> None:
        self._report(
            "cache-entry-damaged",
            f"A stored result ({key.hex()[:12]}) was damaged and is computed again: {said}.",
            "If this happens often, check the disk.",
        )
        try:
            with self._index.alone():
                if damaged_object is not None:
                    self._objects.remove_damaged(damaged_object)
                self._index.remove(key)
        except (OSError, sqlite3.Error):
            return  # a store that can't be written to keeps the bad entry; it stays a miss

    def claim(self, key: CacheKey, expected_s: float | None = None) -> Release | None:
        if expected_s is not None and expected_s < _WORTH_CLAIMING_S:
            return nothing_to_release
        return partial(self._leases.give_back, key) if self._leases.take(key) else None

    def is_claimed(self, key: CacheKey) -> bool:
        return self._leases.is_taken(key)

    def guard(self, keys: Iterable[CacheKey]) -> Release:
        run = self._leases.begin_run()
        try:
            self._index.touch_all(keys)
        except sqlite3.Error as error:
            if not has_no_room(self.folder, error):  # saving will tell
                self._unreadable(error)
        return partial(self._leases.end_run, run)

    def flush(self) -> None:
        if self._unsynced:
            try:
                self._sync()
            except OSError as error:
                self._not_written(error)

    def when_saved(self, work: Callable[[], None]) -> None:
        work()

    def take_problems(self) -> list[Problem]:
        with self._problem_lock:
            taken, self._problems = self._problems, []
        return taken

    def close(self) -> None:
        self._leases.close()
        self._index.close()

    def _index_damaged(self, said: str) -> None:
        self._report(
            "store-index-damaged", f"The store's index was damaged and starts anew: {said}.", "Check the disk."
        )

    def _unreadable(self, error: Exception) -> None:
        said = str(error) or type(error).__name__
        hint = "What can't be read is computed again; check the folder's permissions and the disk."
        self._report("store-unreadable", f"The result store {self.folder} can't be read: {said}.", hint, once=True)

    def _report(self, code: str, message: str, hint: str, *, once: bool = False) -> None:
        with self._problem_lock:
            if once and code in self._told:
                return
            self._told.add(code)
            self._problems.append(Problem(code, message, hint, severity="warning"))
