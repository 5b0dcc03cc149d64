"""The index of the disk store: one SQLite row per result, with a JSON manifest that names its objects."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sdgraph.engine.cachekey import CacheKey

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    key BLOB PRIMARY KEY,
    manifest TEXT NOT NULL,
    digest BLOB NOT NULL,
    nbytes INTEGER NOT NULL,
    cost_s REAL NOT NULL,
    used_at REAL NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One entry: the manifest is JSON text; `nbytes` counts its objects, `cost_s` what computing it took."""

    key: CacheKey
    manifest: str
    nbytes: int
    cost_s: float
    used_at: float


class DamagedRow(ValueError):
    """A row whose manifest does not match its digest."""


class Index:
    """The SQLite file in WAL mode: readers never wait, a killed writer leaves the last commit.

    Raises sqlite3.Error.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _fetch(self, statement: str, *arguments: Any) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, arguments).fetchall()

    def has(self, key: CacheKey) -> bool:
        return bool(self._fetch("SELECT 1 FROM entries WHERE key = ?", key))

    def get(self, key: CacheKey) -> str | None:
        """The manifest of a key. Raises DamagedRow."""
        rows = self._fetch("SELECT manifest, digest FROM entries WHERE key = ?", key)
        if not rows:
            return None
        manifest, digest = rows[0]
        if not isinstance(manifest, str) or _digest(key, manifest) != digest:
            raise DamagedRow("the manifest does not match its digest")
        return manifest

    def put(self, key: CacheKey, manifest: str, nbytes: int, cost_s: float) -> None:
        row = (key, manifest, _digest(key, manifest), nbytes, cost_s, time.time())
        self._fetch("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?)", *row)

    def touch(self, key: CacheKey) -> None:
        """Note that an entry was used. A store that can't be written to is no reason to fail a hit."""
        with suppress(sqlite3.OperationalError):
            self._fetch("UPDATE entries SET used_at = ? WHERE key = ?", time.time(), key)

    def remove(self, key: CacheKey) -> None:
        self._fetch("DELETE FROM entries WHERE key = ?", key)

    def totals(self) -> tuple[int, int]:
        """Number of entries and bytes of their objects (shared objects count for each entry)."""
        count, nbytes = self._fetch("SELECT COUNT(*), COALESCE(SUM(nbytes), 0) FROM entries")[0]
        return count, nbytes

    def rows(self) -> Iterator[IndexRow]:
        """All entries, those least worth keeping first: least recompute cost per byte, then longest unused."""
        order = "ORDER BY cost_s / MAX(nbytes, 1), used_at"
        for row in self._fetch(f"SELECT key, manifest, nbytes, cost_s, used_at FROM entries {order}"):
            yield IndexRow(*row)


def _digest(key: CacheKey, manifest: str) -> bytes:
    return blake2b(key + manifest.encode(), digest_size=16).digest()
