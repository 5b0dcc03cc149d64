"""One server for one database: a second one would take the first one's runs for left behind, and perform them twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager

from sqlalchemy import Engine, text

from sdgraph.errors import SettingsError

_LOCK = 0x5D67_0003


@contextmanager
def alone(engine: Engine) -> Generator[None]:
    """Be the only server of a database; one that is killed lets go of it. Raises SettingsError [database-in-use]."""
    file = engine.url.database
    if engine.dialect.name == "sqlite":
        if not file or file == ":memory:":
            yield
            return
        # SQLite's own lock on a file beside it works wherever SQLite does, and goes with the process.
        with closing(sqlite3.connect(f"{file}.lock", timeout=0, isolation_level=None)) as lock:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError:
                raise _in_use(engine) from None
            yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()  # the lock goes when the connection is closed, not when it is given back
        if not connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}).scalar():
            raise _in_use(engine)
        yield


def _in_use(engine: Engine) -> SettingsError:
    message = f"Another server is working with the database {engine.url.render_as_string()}."
    return SettingsError("database-in-use", message, "Stop it, or name another SDGRAPH_HOME or SDGRAPH_DATABASE.")
