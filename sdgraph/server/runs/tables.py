"""The tables of the server's database. Others of the server's rooms declare theirs on the same `METADATA`.

Columns that can be large come last: SQLite walks over all that stands before a column to reach it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Named,
    String,
    Table,
    Text,
    TypedColumns,
)

SCHEMA_VERSION = 1
"""Changes with every change of the tables that an older sdgraph can't work with."""

METADATA = MetaData()
BigNumber = BigInteger().with_variant(Integer, "sqlite")
"""64 bits; SQLite counts up only what is called INTEGER."""


class VersionColumns(TypedColumns):
    """One row: what the tables are."""

    version: Named[int] = Column(Integer, primary_key=True, autoincrement=False)


class RunColumns(TypedColumns):
    """One row for each run that was ever asked for, until it is older than history reaches."""

    number: Named[int] = Column(BigNumber, primary_key=True, autoincrement=True)
    """In the order in which runs were asked for; pages of the history begin at one."""
    run_id: Named[str] = Column(String(32), unique=True)
    user: Named[str] = Column("user_name", String(100))
    """Whose share of the workers it takes."""
    status: Named[str] = Column(String(10))
    """queued, running, done, partial, failed or cancelled."""
    priority: Named[int] = Column(Integer)
    position: Named[int] = Column(BigNumber)
    """Among runs of one priority and one user the lowest goes first."""
    deaths: Named[int] = Column(Integer)
    """How many workers died while they performed it."""
    recoveries: Named[int] = Column(Integer)
    """How many servers died meanwhile."""
    cancelling: Named[bool] = Column(Boolean)
    """It is running, and was told to stop."""
    worker: Named[str | None] = Column(String(100))
    """Who performs it, or did last."""
    retry_of: Named[str | None] = Column(String(32))
    """The run that was asked for again."""
    created_s: Named[float] = Column()
    """Seconds since 1970, like the next two."""
    started_s: Named[float | None] = Column()
    finished_s: Named[float | None] = Column()
    turn: Named[int | None] = Column(BigNumber)
    """Counts claims: the user with the oldest turn is served next."""
    workflow: Named[str] = Column(Text)
    """The document's name."""
    pictures: Named[Any] = Column(JSON(none_as_null=True), nullable=True)
    """The first pictures that it gave, for thumbnails."""
    words: Named[str] = Column(Text)
    """What search looks through, without upper case."""
    inputs: Named[Any] = Column(JSON)
    outputs: Named[Any] = Column(JSON(none_as_null=True), nullable=True)
    """The names of the outputs wanted; None for all."""
    document: Named[Any] = Column(JSON)
    report: Named[Any] = Column(JSON(none_as_null=True), nullable=True)
    """What it came to; None until it ended."""


class RunInputColumns(TypedColumns):
    """The values of a run's inputs, to find runs by them."""

    number: Named[int] = Column(BigNumber, ForeignKey("runs.number", ondelete="CASCADE"), primary_key=True)
    name: Named[str] = Column(String(200), primary_key=True)
    value: Named[str] = Column(String(200))
    """The beginning of its text."""


class RunPinColumns(TypedColumns):
    """Runs that stay, with their pictures, until somebody lets them go."""

    run_id: Named[str] = Column(String(32), ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True)


class NodeTimeColumns(TypedColumns):
    """What running a node took, to say beforehand what it will take."""

    workflow: Named[str] = Column(String(200), primary_key=True)
    """The document's name; empty for the average of a node type."""
    node: Named[str] = Column(String(400), primary_key=True)
    """The node's id, or the type."""
    elapsed_s: Named[float] = Column()


SCHEMA = Table("schema_version", METADATA, VersionColumns)
RUNS = Table("runs", METADATA, RunColumns, sqlite_autoincrement=True)  # a number is never given twice
RUN_INPUTS = Table("run_inputs", METADATA, RunInputColumns)
RUN_PINS = Table("run_pins", METADATA, RunPinColumns)
NODE_TIMES = Table("node_times", METADATA, NodeTimeColumns)

Index("runs_by_status", RUNS.c.status, RUNS.c.priority, RUNS.c.position)
Index("runs_by_position", RUNS.c.position)
Index("runs_by_turn", RUNS.c.turn)
Index("runs_by_user", RUNS.c.user, RUNS.c.turn)
Index("run_inputs_by_value", RUN_INPUTS.c.name, RUN_INPUTS.c.value)


def storable(text: str) -> str:
    """Text as every database takes it: PostgreSQL knows no NUL, and neither knows half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
