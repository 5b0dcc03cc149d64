"""Results on disk: an SQLite index of JSON manifests, and content-addressed safetensors files.

Whatever happens to the files, a read gives the exact result that was saved or a reported miss. Objects are written
before the row that names them, so a process killed at any moment leaves the store usable.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdgraph.core.porttype import Encoded
from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.base import Payloads, Result
from sdgraph.engine.stores.index import DamagedRow, Index
from sdgraph.engine.stores.objects import ObjectFiles
from sdgraph.errors import Problem, StoreError


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What a disk store holds."""

    folder: Path
    entries: int
    objects: int
    nbytes: int


class WriteCost:
    """Predicts how long writing takes, from the writes so far: a fixed part and a rate."""

    def __init__(self, fixed_s: float = 3e-4, bytes_per_s: float = 5e8) -> None:
        self.fixed_s = fixed_s
        self.bytes_per_s = bytes_per_s

    def predict_s(self, nbytes: int) -> float:
        return self.fixed_s + nbytes / self.bytes_per_s

    def learn(self, nbytes: int, elapsed_s: float) -> None:
        # Small writes teach the fixed part, large ones the rate; one slow write must not decide alone.
        if nbytes < 2**16:
            self.fixed_s += 0.1 * (elapsed_s - self.fixed_s)
        else:
            moving_s = max(elapsed_s - self.fixed_s, 1e-6)
            self.bytes_per_s += 0.1 * (nbytes / moving_s - self.bytes_per_s)


class DiskStore:
    """A `ResultStore` in a folder, shared by all processes that use the folder.

    Raises StoreError [store-unusable] if the folder can't be made or its index can't be opened.
    """

    def __init__(self, folder: Path, payloads: Payloads, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self.folder = folder
        self._payloads = payloads
        self._clock = clock
        self._cost = WriteCost()
        self._problems: list[Problem] = []
        self._problem_lock = threading.Lock()
        self._full = False
        self._objects = ObjectFiles(folder / "objects")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._index = self._open_index()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                "store-unusable",
                f"The result store {folder} can't be used: {error}.",
                "Choose another folder with --cache DIR, or --cache off.",
            ) from error

    def _open_index(self) -> Index:
        path = self.folder / "index.sqlite3"
        try:
            return Index(path)
        except sqlite3.OperationalError:
            raise  # locked or not writable: nothing is wrong with the file
        except sqlite3.DatabaseError as error:
            aside = path.with_suffix(f".damaged-{time.time_ns()}")
            path.rename(aside)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._report(
                "store-index-damaged", f"The store's index was damaged ({error}) and starts anew.", f"Kept as {aside}."
            )
            return Index(path)

    def close(self) -> None:
        self._index.close()

    def find(self, key: CacheKey) -> str | None:
        try:
            return "disk" if self._index.has(key) else None
        except sqlite3.Error as error:
            self._report(
                "store-unreadable", f"The store's index can't be read: {error}.", "Run `sdgraph cache verify`."
            )
            return None

    def load(self, key: CacheKey) -> Result | None:
        try:
            manifest = self._index.get(key)
            if manifest is None:
                return None
            result = self._decode(json.loads(manifest))
        except sqlite3.Error as error:
            self._report(
                "store-unreadable", f"The store's index can't be read: {error}.", "Run `sdgraph cache verify`."
            )
            return None
        except Exception as error:  # whatever stands in a damaged file, codecs included, is a miss
            self._discard(key, error)
            return None
        self._index.touch(key)
        return result

    def save(self, key: CacheKey, result: Result, *, keep: bool = False) -> None:
        size = self._payloads.size_bytes(result)
        if self._full or not (keep or result.elapsed_s >= self._cost.predict_s(size)):
            return
        started = self._clock()
        try:
            encoded = self._encode(result)
            if encoded is None:
                return
            manifest, nbytes = encoded
            self._index.put(key, manifest, nbytes, result.elapsed_s)
        except (OSError, sqlite3.Error) as error:
            self._full = True  # for this process: failing again at every node helps nobody
            full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "full" in str(error)
            self._report(
                "store-disk-full" if full else "store-unwritable",
                f"Results are no longer stored, because writing to {self.folder} failed: {error}.",
                "Free space with `sdgraph cache gc`, or choose another folder with --cache DIR.",
            )
            return
        self._cost.learn(nbytes, self._clock() - started)

    def _encode(self, result: Result) -> tuple[str, int] | None:
        outputs: dict[str, Any] = {}
        total = 0
        for name, value in result.outputs.items():
            parts = self._payloads.encode(value)
            if parts is None:
                return None
            type_name, encoded = parts
            outputs[name] = {"type": type_name, "meta": encoded.meta}
            if encoded.blobs:
                outputs[name]["object"], nbytes = self._objects.write(encoded.blobs)
                total += nbytes
        manifest = {
            "outputs": outputs,
            "elapsed_s": result.elapsed_s,
            "node_type": result.node_type,
            "node_version": result.node_version,
        }
        return json.dumps(manifest), total

    def _decode(self, manifest: dict[str, Any]) -> Result:
        outputs: dict[str, Any] = {}
        for name, part in manifest["outputs"].items():
            blobs = self._objects.read(part["object"]) if "object" in part else {}
            outputs[name] = self._payloads.decode(part["type"], Encoded(part["meta"], blobs))
        return Result(outputs, manifest["elapsed_s"], manifest["node_type"], manifest["node_version"])

    def _discard(self, key: CacheKey, error: Exception) -> None:
        said = "a file of it is missing" if isinstance(error, FileNotFoundError) else str(error) or type(error).__name__
        self._report(
            "cache-entry-damaged",
            f"A stored result ({key.hex()[:12]}) was damaged and is computed again: {said}.",
            "If this happens often, check the disk.",
        )
        try:
            manifest = None if isinstance(error, DamagedRow) else self._index.get(key)
            if manifest is not None:
                for part in json.loads(manifest)["outputs"].values():
                    if "object" in part and not isinstance(error, OSError):
                        self._objects.path(part["object"]).unlink(missing_ok=True)
            self._index.remove(key)
        except (OSError, sqlite3.Error, ValueError, KeyError):
            return  # a store that can't be written to keeps the bad entry; it stays a miss

    def flush(self) -> None:
        """Every save has been written when it returns."""

    def take_problems(self) -> list[Problem]:
        with self._problem_lock:
            taken, self._problems = self._problems, []
        return taken

    def _report(self, code: str, message: str, hint: str) -> None:
        with self._problem_lock:
            self._problems.append(Problem(code, message, hint, severity="warning"))

    def info(self) -> StoreInfo:
        """Counts and bytes; reads names and sizes, no content."""
        entries, _ = self._index.totals()
        paths = [path for digest, path in self._objects.all() if digest]
        return StoreInfo(self.folder, entries, len(paths), sum(path.stat().st_size for path in paths))

    def verify(self) -> tuple[int, int]:
        """Read every entry against its digests; damaged ones are removed. Returns how many were good and bad."""
        good = bad = 0
        for row in list(self._index.rows()):
            if self.load(row.key) is None:
                bad += 1
            else:
                good += 1
        return good, bad

    def gc(self, budget_bytes: int) -> tuple[int, int]:
        """Remove the entries least worth keeping until the objects fit the budget, and files that nothing names.

        Returns the number of entries removed and the bytes freed.
        """
        rows = list(self._index.rows())
        names = {row.key: _objects_of(row.manifest) for row in rows}
        readers: dict[str, int] = {}
        for used in names.values():
            for digest in used:
                readers[digest] = readers.get(digest, 0) + 1
        freed = self._remove_strays(readers)
        sizes = {digest: path.stat().st_size for digest, path in self._objects.all() if digest}
        total = sum(sizes.values())
        removed = 0
        for row in rows:
            if total <= budget_bytes:
                break
            self._index.remove(row.key)
            removed += 1
            for digest in names[row.key]:
                readers[digest] -= 1
                if readers[digest] == 0:
                    self._objects.path(digest).unlink(missing_ok=True)
                    total -= sizes.get(digest, 0)
                    freed += sizes.get(digest, 0)
        return removed, freed

    def _remove_strays(self, readers: dict[str, int]) -> int:
        freed = 0
        an_hour_ago = time.time() - 3600  # younger files may belong to a run that is writing now
        for digest, path in self._objects.all():
            status = os.stat(path)
            if digest not in readers and status.st_mtime < an_hour_ago:
                path.unlink(missing_ok=True)
                freed += status.st_size
        return freed

    def clear(self) -> int:
        """Remove everything. Returns the number of entries removed."""
        rows = list(self._index.rows())
        for row in rows:
            self._index.remove(row.key)
        for _, path in self._objects.all():
            path.unlink(missing_ok=True)
        return len(rows)


def _objects_of(manifest: str) -> set[str]:
    try:
        return {part["object"] for part in json.loads(manifest)["outputs"].values() if "object" in part}
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()  # a damaged row names nothing; reading it will report it
