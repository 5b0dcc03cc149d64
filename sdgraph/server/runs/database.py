"""The server's database: SQLite in the home folder, or any PostgreSQL by its URL."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from sdgraph.errors import SettingsError
from sdgraph.server.runs.tables import METADATA, SCHEMA, SCHEMA_VERSION

_WAIT_MS = 10_000
_SETUP_LOCK = 0x5D67_0001
_ON_SQLITE = (
    "PRAGMA journal_mode=WAL",  # readers go on while somebody writes
    f"PRAGMA busy_timeout={_WAIT_MS}",
    "PRAGMA synchronous=NORMAL",  # what was committed outlives the process at any moment, but not a power cut
    "PRAGMA foreign_keys=ON",
)
_READ_ONLY = "sdgraph_read_only"


def sqlite_url(file: Path) -> str:
    """The URL of a database file."""
    return URL.create("sqlite", database=str(file)).render_as_string()


def open_database(url: str) -> Engine:
    """The database with all tables of `METADATA`, made when they are missing.

    Raises SettingsError: [database-url] no URL of SQLite or PostgreSQL; [database-driver] its driver is not installed;
    [database-unusable] it can't be reached or made; [database-newer] a later sdgraph made it.
    """
    engine = _engine(_checked(url))
    try:
        _set_up(engine)
    except (DBAPIError, OSError) as error:
        engine.dispose()
        said = str(getattr(error, "orig", error)).strip().splitlines()[0]
        message = f"The database {engine.url.render_as_string()} can't be used: {said}."
        raise SettingsError("database-unusable", message, "Check SDGRAPH_DATABASE, and that it is reachable.") from None
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """A transaction that only reads: it sees one state, and on SQLite it waits for no writer."""
    with engine.connect() as connection, connection.execution_options(**{_READ_ONLY: True}).begin():
        yield connection


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _bad_url(url[:30]) from None
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise _bad_url(parsed.drivername)
    return parsed


def _bad_url(found: str) -> SettingsError:
    message = f"The database must be SQLite or PostgreSQL; found {found!r}."
    return SettingsError("database-url", message, "For example `postgresql://user:password@localhost/sdgraph`.")


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    try:
        return create_engine(url, pool_pre_ping=True)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        message = f"The driver of PostgreSQL is not installed: {error}."
        raise SettingsError("database-driver", message, "Run `pip install sdgraph[postgres]`.") from None


def _sqlite(url: URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, record: object) -> None:
    # sqlite3 begins transactions only at the first write, and then two readers that go on to write can't both go on.
    connection.isolation_level = None
    for statement in _ON_SQLITE:
        connection.execute(statement)


def _begin(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _set_up(engine: Engine) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # `CREATE TABLE IF NOT EXISTS` of two servers at once can fail
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _SETUP_LOCK})
        METADATA.create_all(connection)
        found = connection.execute(select(SCHEMA.c.version)).scalar()
        if found is None:
            connection.execute(insert(SCHEMA).values(version=SCHEMA_VERSION))
    if found is not None and found != SCHEMA_VERSION:
        message = f"The database has tables of version {found}, and this sdgraph works with {SCHEMA_VERSION}."
        raise SettingsError("database-newer", message, "Update sdgraph, or name another database.")
