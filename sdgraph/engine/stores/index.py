"""The index of the disk store: one SQLite row per result, with a JSON manifest that names its objects."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.objects import sync_folder
from sdgraph.engine.stores.sqlite import connect, damage, execute, has_no_room, is_code, is_damage, use_wal

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    key BLOB PRIMARY KEY,
    manifest BLOB NOT NULL,
    digest BLOB NOT NULL,
    nbytes INTEGER NOT NULL,
    cost_s REAL NOT NULL,
    used_at REAL NOT NULL
) WITHOUT ROWID
"""
_SIZES = "CREATE INDEX IF NOT EXISTS sizes ON entries (nbytes)"
"""Small, so that counting entries need not read their manifests."""
_TOTALS = "CREATE TABLE IF NOT EXISTS totals (objects INTEGER NOT NULL, nbytes INTEGER NOT NULL)"
_INSERT = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?)"
_TOUCH_AFTER_S = 3600.0
"""Use is noted at most this often: finding out what was not used for long needs no more."""


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One entry: the manifest is JSON text; `nbytes` counts its objects, `cost_s` what computing it took."""

    key: CacheKey
    manifest: bytes
    nbytes: int
    cost_s: float
    used_at: float


class DamagedRow(ValueError):
    """A row whose manifest does not match its digest."""


class Index:
    """The SQLite file in WAL mode: readers never wait, a killed writer leaves the last commit.

    A file that SQLite finds damaged is set aside, once, and the index starts anew; `on_damage` is told. A folder that
    can't be written to, and one on a disk that is full (`full`), is read: `writable` is False. Raises sqlite3.Error.
    """

    def __init__(self, path: Path, on_damage: Callable[[str], None]) -> None:
        self.path = path
        self.writable = True
        self.full = False
        self._on_damage = on_damage
        self._lock = threading.RLock()
        self._named = False
        """Whether the names of its files are on the disk."""
        try:
            self._connection = self._open()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._connection = self._open_anew(error)

    def _open(self) -> sqlite3.Connection:
        try:
            connection = connect(self.path.absolute().as_uri(), _prepare)
        except sqlite3.OperationalError as error:
            self.full = has_no_room(self.path.parent, error)
            forbidden = is_code(error, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
            if not (forbidden or self.full) or not self.path.exists():
                raise
            if is_code(error, sqlite3.SQLITE_READONLY) and _may_write(self.path):
                raise damage("its header forbids to write") from error
            connection = self._open_read_only()
            self.writable = False
        self._inode = self.path.stat().st_ino
        return connection

    def _open_read_only(self) -> sqlite3.Connection:
        place = self.path.absolute().as_uri()
        try:
            return connect(f"{place}?mode=ro", _try)
        except sqlite3.OperationalError:  # without its helper files, which can't be made here
            return connect(f"{place}?immutable=1", _try)

    def _open_anew(self, error: sqlite3.Error) -> sqlite3.Connection:
        """Set the damaged file aside, unless another process has done so, and start with an empty one."""
        aside = self.path.with_name(f"damaged-{self.path.name}")
        try:
            if self.path.stat().st_ino == getattr(self, "_inode", self.path.stat().st_ino):
                os.replace(self.path, aside)
                for suffix in ("-wal", "-shm"):
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        except OSError:
            raise error from None
        self._on_damage(f"{error}; kept as {aside}")
        return self._open()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def reopen(self) -> None:
        """Try again to write, where there was no room for it."""
        with self._lock:
            self._connection.close()
            self.writable, self.full = True, False
            self._connection = self._open()

    def _fetch(self, statement: str, *arguments: Any) -> list[Any]:
        with self._lock:
            try:
                return execute(self._connection, statement, *arguments)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._connection.close()
                self._connection = self._open_anew(error)
                return execute(self._connection, statement, *arguments)

    @contextmanager
    def alone(self) -> Generator[None]:
        """Let nobody else write meanwhile, in this process or another; what is written here counts at the end."""
        with self._lock:
            self._fetch("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._end("ROLLBACK")
                raise
            self._end("COMMIT")

    def _end(self, how: str) -> None:
        if self._connection.in_transaction:  # an index that was started anew has none
            self._fetch(how)

    def try_to_write(self) -> None:
        """Change nothing, in a way that fails where there is no room to change something."""
        if self.writable:
            with self.alone():
                self._fetch("CREATE TABLE trial (place)")
                self._fetch("DROP TABLE trial")

    def has(self, key: CacheKey) -> bool:
        return bool(self._fetch("SELECT 1 FROM entries WHERE key = ?", key))

    def get(self, key: CacheKey) -> IndexRow | None:
        """The entry of a key. Raises DamagedRow."""
        rows = self._fetch("SELECT manifest, digest, nbytes, cost_s, used_at FROM entries WHERE key = ?", key)
        if not rows:
            return None
        manifest, digest, *numbers = rows[0]
        if not isinstance(manifest, bytes) or _digest(key, manifest) != digest:
            raise DamagedRow("the manifest does not match its digest")
        return IndexRow(key, manifest, *numbers)

    def between(self, first: CacheKey, last: CacheKey) -> list[CacheKey]:
        """Keys in a range, two at most."""
        asked = "SELECT key FROM entries WHERE key BETWEEN ? AND ? LIMIT 2"
        return [row[0] for row in self._fetch(asked, first, last)]

    def put(self, key: CacheKey, manifest: bytes, nbytes: int, cost_s: float) -> None:
        row = (key, manifest, _digest(key, manifest), nbytes, cost_s, time.time())
        self._fetch(_INSERT, *row)

    def sync(self) -> None:
        """Let what was put so far survive a loss of power: SQLite itself sees to its order only. Raises OSError."""
        log = self.path.with_name(f"{self.path.name}-wal")
        with suppress(FileNotFoundError), log.open("rb+", buffering=0) as file:
            os.fsync(file.fileno())
        if not self._named:
            sync_folder(self.path.parent)
            self._named = True

    def totals(self) -> tuple[int, int] | None:
        """Objects and their bytes as written down; None when they have to be counted."""
        rows = self._fetch("SELECT objects, nbytes FROM totals") if self.writable else []
        return tuple(rows[0]) if rows else None

    def add_to_totals(self, objects: int, nbytes: int) -> None:
        """Take objects into account that were written, or removed if negative."""
        self._fetch("UPDATE totals SET objects = objects + ?, nbytes = nbytes + ?", objects, nbytes)

    def set_totals(self, objects: int, nbytes: int) -> None:
        """Write down what was counted."""
        if self.writable:
            self._fetch("DELETE FROM totals")
            self._fetch("INSERT INTO totals VALUES (?, ?)", objects, nbytes)

    def touch_all(self, keys: Iterable[CacheKey]) -> None:
        """Note that entries are used now."""
        if self.writable:
            now = time.time()
            with self.alone():
                self._connection.executemany(
                    "UPDATE entries SET used_at = ? WHERE key = ?", ((now, key) for key in keys)
                )

    def touch(self, row: IndexRow) -> None:
        """Note that an entry was used."""
        now = time.time()
        recently = isinstance(row.used_at, float) and now - row.used_at < _TOUCH_AFTER_S
        if self.writable and not recently:
            self._fetch("UPDATE entries SET used_at = ? WHERE key = ?", now, row.key)

    def remove(self, key: CacheKey) -> None:
        self._fetch("DELETE FROM entries WHERE key = ?", key)

    def remove_unused(self, row: IndexRow) -> bool:
        """Remove an entry, unless it was used since the row was read."""
        asked = "DELETE FROM entries WHERE key = ? AND used_at IS ? RETURNING 1"
        return bool(self._fetch(asked, row.key, row.used_at))

    def check(self) -> None:
        """Look at the whole file, and start anew with the rows that are right if it is damaged.

        Damage that SQLite doesn't meet in passing makes entries impossible to find, not wrong.
        """
        connection = self._connection
        said = self._fetch("PRAGMA integrity_check(1)")
        if said == [(b"ok",)]:
            return
        rows = [row for row in self._fetch("SELECT * FROM entries") if _is_right(row)]
        if self._connection is not connection:  # reading it all was enough to start anew
            return
        with self._lock:
            self._connection.close()
            self._connection = self._open_anew(damage(said[0][0].decode("utf-8", "replace")))
        for row in rows:
            self._fetch(_INSERT, *row)

    def count(self) -> int:
        return self._fetch("SELECT COUNT(*) FROM entries")[0][0]

    def all_keys(self) -> list[CacheKey]:
        return [row[0] for row in self._fetch("SELECT key FROM entries")]

    def rows(self) -> Iterator[IndexRow]:
        """All entries, those least worth keeping first: least recompute cost per byte, then longest unused."""
        order = "ORDER BY cost_s / MAX(nbytes, 1), used_at"
        for row in self._fetch(f"SELECT key, manifest, nbytes, cost_s, used_at FROM entries {order}"):
            yield IndexRow(*row)


def _prepare(connection: sqlite3.Connection) -> None:
    use_wal(connection)
    execute(connection, "PRAGMA synchronous=NORMAL")
    execute(connection, "PRAGMA cell_size_check=ON")
    for statement in (_SCHEMA, _SIZES, _TOTALS):
        execute(connection, statement)
    execute(
        connection, "DELETE FROM entries WHERE key = x''"
    )  # removes nothing, and fails where nothing can be written


def _may_write(path: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return all(os.access(place, os.W_OK, effective_ids=effective) for place in (path, path.parent))


def _try(connection: sqlite3.Connection) -> None:
    execute(connection, "SELECT key FROM entries LIMIT 1")


def _is_right(row: tuple[Any, ...]) -> bool:
    key, manifest, digest, *numbers = row
    texts_are_right = isinstance(key, bytes) and isinstance(manifest, bytes) and _digest(key, manifest) == digest
    return texts_are_right and all(isinstance(number, (int, float)) for number in numbers)


def _digest(key: CacheKey, manifest: bytes) -> bytes:
    return blake2b(key + manifest, digest_size=16).digest()
