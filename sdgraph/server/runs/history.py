"""The history: what was asked for and what it came to, newest first, page by page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, delete, exists, func, select

from sdgraph.server.runs.database import reading
from sdgraph.server.runs.failures import unknown
from sdgraph.server.runs.records import ENDED, RunDetails, RunState, RunSummary
from sdgraph.server.runs.tables import RUN_INPUTS, RUN_PINS, RUNS, storable

_DAY_S = 86_400.0
_SHOWN = (
    RUNS.c.number,
    RUNS.c.run_id,
    RUNS.c.user,
    RUNS.c.status,
    RUNS.c.priority,
    RUNS.c.deaths + 1,
    RUNS.c.cancelling,
    RUNS.c.worker,
    RUNS.c.retry_of,
    RUNS.c.created_s,
    RUNS.c.started_s,
    RUNS.c.finished_s,
    RUNS.c.workflow,
    exists().where(RUN_PINS.c.run_id == RUNS.c.run_id).correlate(RUNS).label("pinned"),
    RUNS.c.inputs,
    RUNS.c.pictures,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs a page is made of; what is left out does not matter."""

    search: str = ""
    """Words that all occur in the workflow's name, a prompt or another text of the run, in any case."""
    inputs: tuple[tuple[str, str], ...] = ()
    """Inputs by name and the text of their value."""
    states: tuple[RunState, ...] = ()
    user: str | None = None
    before: str | None = None
    """Only runs that were asked for before the one of this id."""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Some runs, the newest first."""

    runs: tuple[RunSummary, ...]
    next: str | None
    """`before` of the next page; None when this is the last one."""
    counts: Mapping[str, int]
    """How many runs there are in each state that any is in."""


class History:
    """All runs of a database, to be read."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock

    def page(self, wanted: Wanted) -> Page:
        """The newest runs that are wanted. Raises WorkflowError [run-unknown] for an unknown `before`."""
        with reading(self._engine) as connection:
            conditions = _conditions(wanted)
            if wanted.before is not None:
                conditions.append(RUNS.c.number < _number(connection, wanted.before))
            chosen = select(*_SHOWN).where(*conditions).order_by(RUNS.c.number.desc()).limit(wanted.limit + 1)
            found = [_summary(row) for row in connection.execute(chosen)]
            shown = tuple(_placed(connection, found[: wanted.limit]))
            return Page(shown, shown[-1].run_id if len(found) > wanted.limit else None, _counts(connection))

    def details(self, run_id: str) -> RunDetails:
        """Everything about one run. Raises WorkflowError [run-unknown]."""
        chosen = select(*_SHOWN, RUNS.c.document, RUNS.c.outputs, RUNS.c.report).where(RUNS.c.run_id == run_id)
        with reading(self._engine) as connection:
            row = connection.execute(chosen).one_or_none()
            if row is None:
                raise unknown(run_id)
            (summary,) = _placed(connection, [_summary(row[: len(_SHOWN)])])
        return RunDetails(summary, row.document, row.outputs, row.report)

    def counts(self) -> dict[str, int]:
        """How many runs are in each state that any is in."""
        with reading(self._engine) as connection:
            return _counts(connection)

    def prune(self, keep: int | None, keep_days: float | None) -> int:
        """Remove ended runs that are older, or more than `keep`, but no pinned ones; how many went.

        Pictures stay where they are.
        """
        ended = RUNS.c.status.in_(ENDED) & RUNS.c.run_id.not_in(select(RUN_PINS.c.run_id))
        removed = 0
        with self._engine.begin() as connection:
            if keep_days is not None:
                old = RUNS.c.finished_s < self._clock() - keep_days * _DAY_S
                removed += connection.execute(delete(RUNS).where(ended, old)).rowcount
            if keep is not None:
                kept = select(RUNS.c.number).where(ended).order_by(RUNS.c.number.desc()).limit(1).offset(keep)
                oldest = connection.execute(kept).scalar()
                if oldest is not None:
                    removed += connection.execute(delete(RUNS).where(ended, RUNS.c.number <= oldest)).rowcount
        return removed


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        RUNS.c.words.contains(storable(word), autoescape=True) for word in wanted.search.casefold().split()
    ]
    for name, value in wanted.inputs:
        same = (RUN_INPUTS.c.name == storable(name)) & (RUN_INPUTS.c.value == storable(value)[:200])
        found.append(exists().where(RUN_INPUTS.c.number == RUNS.c.number, same))
    if wanted.states:
        found.append(RUNS.c.status.in_(wanted.states))
    if wanted.user is not None:
        found.append(RUNS.c.user == wanted.user)
    return found


def _number(connection: Connection, run_id: str) -> int:
    found = connection.execute(select(RUNS.c.number).where(RUNS.c.run_id == run_id)).scalar()
    if found is None:
        raise unknown(run_id)
    return found


def _counts(connection: Connection) -> dict[str, int]:
    counted = select(RUNS.c.status, func.count()).group_by(RUNS.c.status)
    return {row[0]: row[1] for row in connection.execute(counted)}


def _placed(connection: Connection, runs: Sequence[RunSummary]) -> Iterator[RunSummary]:
    """The runs with their places in the queue."""
    places: dict[str, int] = {}
    if any(run.status == "queued" for run in runs):
        order = (RUNS.c.priority.desc(), RUNS.c.position, RUNS.c.number)
        waiting = connection.execute(select(RUNS.c.run_id).where(RUNS.c.status == "queued").order_by(*order))
        places = {row.run_id: place for place, row in enumerate(waiting, start=1)}
    for run in runs:
        yield replace(run, position=places.get(run.run_id))


def _summary(values: Sequence[Any]) -> RunSummary:
    """A summary from the columns of `_SHOWN`."""
    *others, pictures = values
    return RunSummary(*others, pictures=pictures or {})
