"""The table of events: what clients that come back are told, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Column, Engine, Index, Named, String, Table, Text, TypedColumns, delete, func, insert, select

from sdgraph.server.runs.database import reading
from sdgraph.server.runs.tables import METADATA, BigNumber


class EventColumns(TypedColumns):
    """One row for each event that is told again; progress is not."""

    seq: Named[int] = Column(BigNumber, primary_key=True, autoincrement=False)
    """From 1, without gaps, over all runs and restarts of the server."""
    run_id: Named[str] = Column(String(32))
    text: Named[str] = Column(Text)
    """The event as JSON, as clients get it."""


EVENTS = Table("events", METADATA, EventColumns)
Index("events_by_run", EVENTS.c.run_id, EVENTS.c.seq)


class StoredEvent(NamedTuple):
    """An event as it is kept and sent."""

    seq: int
    run_id: str
    text: str


class EventTable:
    """Reads and writes events; every call is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def last(self) -> int:
        """Number of the last event; 0 when there is none."""
        with reading(self._engine) as connection:
            return connection.execute(select(func.max(EVENTS.c.seq))).scalar() or 0

    def first(self) -> int:
        """Number of the first event that is still kept; 1 when there is none."""
        with reading(self._engine) as connection:
            return connection.execute(select(func.min(EVENTS.c.seq))).scalar() or 1

    def add(self, events: Sequence[StoredEvent], keep: int) -> None:
        """Keep these events, and no more than the last `keep` of all."""
        with self._engine.begin() as connection:
            connection.execute(insert(EVENTS), [event._asdict() for event in events])
            connection.execute(delete(EVENTS).where(EVENTS.c.seq <= events[-1].seq - keep))

    def after(self, seq: int, limit: int, run_id: str | None = None) -> list[StoredEvent]:
        """At most `limit` events after a number, of one run or of all."""
        rows = select(EVENTS).where(EVENTS.c.seq > seq).order_by(EVENTS.c.seq).limit(limit)
        if run_id is not None:
            rows = rows.where(EVENTS.c.run_id == run_id)
        with reading(self._engine) as connection:
            return [StoredEvent(row.seq, row.run_id, row.text) for row in connection.execute(rows)]
