"""Who computes which key right now: leases that all threads and processes with the same folder see.

A lease lasts a few seconds and is renewed while its owner lives, so that the lease of a killed process or of a machine
that was switched off runs out. Leases are advice: without them, results are computed twice, never wrongly. So they lie
in a SQLite file of their own, which is not synchronised to the disk, and whatever goes wrong with it is no error.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.owner import Owner, this_process
from sdgraph.engine.stores.sqlite import connect, execute, is_code, is_damage, use_wal

LEASE_S = 15.0
"""How long a lease lasts without being renewed; renewed three times in that time."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS leases (key BLOB PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID
"""
_RUNS = """
CREATE TABLE IF NOT EXISTS runs (run TEXT PRIMARY KEY, owner TEXT NOT NULL, began REAL NOT NULL, until REAL NOT NULL)
"""
_TAKE = """
INSERT INTO leases VALUES (?, ?, seconds() + ?)
ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, until = excluded.until
WHERE NOT leases.until BETWEEN seconds() AND seconds() + 2 * ?
RETURNING 1
"""
"""`seconds()` reads the clock when the statement has its lock: whoever read it before waiting for that would find a
lease taken meanwhile to end too late. One that ends later than any that begins now, and the clocks of two machines may
differ by the time of a lease, was written by a wrong clock.
"""


class Leases:
    """The leases of one folder, as one owner sees and holds them."""

    def __init__(
        self,
        path: Path,
        *,
        owner: Owner | None = None,
        clock: Callable[[], float] = time.time,
        lease_s: float = LEASE_S,
    ) -> None:
        self.owner = owner or this_process()
        self._path = path
        self._clock = clock
        self._lease_s = lease_s
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._usable = True
        self._held: set[CacheKey] = set()
        self._runs: set[str] = set()
        self._closed = threading.Event()
        self._renewer: threading.Thread | None = None

    def take(self, key: CacheKey) -> bool:
        """Whether the caller may compute the key; others wait until it is given back or its owner is dead."""
        taken = self._take(key)
        if taken is False and self._is_abandoned(key):
            taken = self._take(key)
        if taken:
            self._held.add(key)
            self._keep_renewing()
        return taken is not False  # without leases everybody may

    def _take(self, key: CacheKey) -> bool | None:
        """None when leases don't work here."""
        rows = self._execute(_TAKE, key, str(self.owner), self._lease_s, self._lease_s)
        return None if rows is None else bool(rows)

    def _is_abandoned(self, key: CacheKey) -> bool:
        """Whether the owner is a process of this machine that ended; its lease is removed."""
        rows = self._execute("SELECT owner FROM leases WHERE key = ?", key)
        owner = Owner.parse(rows[0][0]) if rows else self.owner
        if not owner.is_known_dead():
            return False
        self._execute("DELETE FROM leases WHERE owner = ?", str(owner))
        return True

    def is_taken(self, key: CacheKey) -> bool:
        """Whether somebody who seems alive holds the key."""
        asked = "SELECT 1 FROM leases WHERE key = ? AND until BETWEEN seconds() AND seconds() + 2 * ?"
        return bool(self._execute(asked, key, self._lease_s)) and not self._is_abandoned(key)

    def give_back(self, key: CacheKey) -> None:
        """Let others have the key. A lease that ran out and was taken over stays its new owner's."""
        self._held.discard(key)
        self._execute("DELETE FROM leases WHERE key = ? AND owner = ?", key, str(self.owner))

    def begin_run(self) -> str:
        """Let others know that a run is going on, which needs what it uses; gives what `end_run` takes."""
        run = uuid.uuid4().hex
        self._runs.add(run)
        began = "INSERT INTO runs VALUES (?, ?, seconds(), seconds() + ?)"
        self._execute(began, run, str(self.owner), self._lease_s)
        self._keep_renewing()
        return run

    def end_run(self, run: str) -> None:
        self._runs.discard(run)
        self._execute("DELETE FROM runs WHERE run = ?", run)

    def oldest_run(self) -> float | None:
        """When the oldest of the runs that are going on began, in seconds since 1970."""
        asked = "SELECT owner, began FROM runs WHERE until BETWEEN seconds() AND seconds() + 2 * ? ORDER BY began"
        for owner, began in self._execute(asked, self._lease_s) or ():
            if not Owner.parse(owner).is_known_dead():
                return began
        return None

    def renew(self) -> None:
        """Make every lease that is held and every run that goes on last anew."""
        for table, held in (("leases", self._held), ("runs", self._runs)):
            if held:
                anew = f"UPDATE {table} SET until = seconds() + ? WHERE owner = ?"
                self._execute(anew, self._lease_s, str(self.owner))

    def close(self) -> None:
        """Give everything back. A second call does nothing."""
        self._closed.set()
        if self._connection is not None:
            for table in ("leases", "runs"):
                self._execute(f"DELETE FROM {table} WHERE owner = ?", str(self.owner))
        with self._lock:
            self._usable = False
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _keep_renewing(self) -> None:
        with self._lock:
            if self._renewer is None and self._usable:
                self._renewer = threading.Thread(target=self._renew_often, name="sdgraph-leases", daemon=True)
                self._renewer.start()

    def _renew_often(self) -> None:
        while not self._closed.wait(self._lease_s / 3):
            self.renew()

    def _execute(self, statement: str, *arguments: Any) -> list[Any] | None:
        """The rows that a statement gives; None when the file can't be used."""
        with self._lock:
            if not self._usable:
                return None
            try:
                self._connection = self._connection or connect(self._path.absolute().as_uri(), self._prepare)
                return execute(self._connection, statement, *arguments)
            except sqlite3.Error as error:
                self._usable = is_code(error, sqlite3.SQLITE_BUSY)  # locked for long: not this time
                if is_damage(error):  # others start anew, and this process goes without
                    with suppress(OSError):
                        os.unlink(self._path)
            return None

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.create_function("seconds", 0, self._clock)
        use_wal(connection)
        execute(connection, "PRAGMA synchronous=OFF")
        execute(connection, _SCHEMA)
        execute(connection, _RUNS)
