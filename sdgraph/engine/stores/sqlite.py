"""SQLite as the stores use it: several processes on one file, in WAL mode, and errors told apart by their codes."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOM_BYTES = 2**18
"""With this much room on a disk, SQLite can work."""
WAIT_S = 10.0
"""How long to wait for another process that is writing."""


def connect(uri: str, prepare: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    """A connection that several threads may use in turns, prepared. Raises sqlite3.Error."""
    connection = sqlite3.connect(uri, uri=True, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
    connection.text_factory = bytes  # a damaged value may claim to be text
    try:
        prepare(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def execute(connection: sqlite3.Connection, statement: str, *arguments: Any) -> list[Any]:
    """All rows of a statement. Raises sqlite3.Error."""
    try:
        return connection.execute(statement, arguments).fetchall()
    except UnicodeDecodeError as error:  # SQLite's complaint about a damaged schema quotes it
        raise damage("its schema is not text") from error


def use_wal(connection: sqlite3.Connection) -> None:
    """Let readers go on while somebody writes. SQLite does not wait by itself when two processes ask for it at once."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            execute(connection, "PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not is_code(error, sqlite3.SQLITE_BUSY) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def is_code(error: sqlite3.Error, *codes: int) -> bool:
    """Whether SQLite's primary result code is one of these."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in codes


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file, not the program or the disk, is at fault."""
    # With statements that are right, an SQL error means that the schema or a value was damaged.
    codes = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH)
    return is_code(error, *codes) or getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHORT_READ


def has_no_room(folder: Path, error: OSError | sqlite3.Error) -> bool:
    """Whether a write failed because the disk, or what one may have of it, is full."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    if is_code(error, sqlite3.SQLITE_FULL):
        return True
    # Of the file that its readers share SQLite says only that it could not be made longer.
    return is_code(error, sqlite3.SQLITE_IOERR) and shutil.disk_usage(folder).free < ROOM_BYTES


def damage(message: str) -> sqlite3.DatabaseError:
    """An error as SQLite raises it for a damaged file."""
    error = sqlite3.DatabaseError(message)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
