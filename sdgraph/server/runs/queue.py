"""The queue: runs wait, are claimed by one worker each, and end. Every step is one transaction.

The next run is one of the highest priority. Among these it is one of the user who has the fewest running and, of
several such users, who was served the longest time ago; and of that user the one that stands first. So nobody waits
behind all the runs that somebody else asked for at once.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Select, delete, func, insert, select, text, update

from sdgraph.engine.worker.job import report_without_nodes
from sdgraph.server.runs.failures import (
    SERVER_DIED,
    WORKER_DIED,
    already_ended,
    not_ended,
    not_queued,
    queue_full,
    unknown,
)
from sdgraph.server.runs.pictures import first_pictures
from sdgraph.server.runs.records import ENDED, ClaimedRun, RunRequest, RunState
from sdgraph.server.runs.tables import RUN_INPUTS, RUN_PINS, RUNS, storable

_MAX_DEATHS = 1
"""Workers that may die over one run before it fails."""
_MAX_RECOVERIES = 10
"""Servers that may, so that a run that kills the server does not do so for ever."""
_MAX_VALUE = 200
_ORDER_LOCK = 0x5D67_0002

_others = RUNS.alias("others")


class RunQueue:
    """The queue in a database. Threads and processes may share it."""

    def __init__(self, engine: Engine, limit: int = 1000, clock: Callable[[], float] = time.time) -> None:
        """At most `limit` runs may wait. `clock` gives seconds since 1970."""
        self._engine = engine
        self._limit = limit
        self._clock = clock

    def enqueue(self, request: RunRequest, retry_of: str | None = None) -> str:
        """Let a run wait; its id. Raises WorkflowError [queue-full]."""
        run_id = uuid.uuid4().hex
        with self._engine.begin() as connection:
            _in_turn(connection)
            if self._waiting(connection) >= self._limit:
                raise queue_full(self._limit)
            row = self._row(connection, request) | {"run_id": run_id, "retry_of": retry_of}
            number = connection.execute(insert(RUNS).values(row).returning(RUNS.c.number)).scalar_one()
            values = [
                {"number": number, "name": storable(name), "value": storable(value)[:_MAX_VALUE]}
                for name, value in request.values.items()
                if len(name) <= _MAX_VALUE
            ]
            if values:
                connection.execute(insert(RUN_INPUTS), values)
        return run_id

    def claim(self, worker: str) -> ClaimedRun | None:
        """The next run, which is the worker's from here on; None when none waits."""
        with self._engine.begin() as connection:
            number = connection.execute(_next().with_for_update(skip_locked=True, of=RUNS)).scalar()
            if number is None:
                return None
            turn = select(func.coalesce(func.max(_others.c.turn), 0) + 1).scalar_subquery()
            taken = {"status": "running", "worker": worker, "started_s": self._clock(), "turn": turn}
            found = connection.execute(
                update(RUNS)
                .where(RUNS.c.number == number)
                .values(taken)
                .returning(
                    RUNS.c.run_id,
                    RUNS.c.user,
                    RUNS.c.workflow,
                    RUNS.c.document,
                    RUNS.c.inputs,
                    RUNS.c.outputs,
                    RUNS.c.deaths,
                )
            ).one()
        return ClaimedRun(*found[:-1], attempt=found.deaths + 1)

    def finish(self, run_id: str, report: Mapping[str, Any]) -> bool:
        """Keep what a running run came to. False when it was not running."""
        with self._engine.begin() as connection:
            return self._end(connection, run_id, "running", report)

    def requeue(self, run_id: str) -> RunState:
        """After its worker died: let the run wait again, once. What became of it."""
        with self._engine.begin() as connection:
            status, deaths, cancelling = self._look(connection, run_id)
            if status != "running":
                return status
            if cancelling:
                self._end(connection, run_id, "running", report_without_nodes(run_id, "cancelled"))
                return "cancelled"
            if deaths >= _MAX_DEATHS:
                self._end(connection, run_id, "running", report_without_nodes(run_id, "failed", WORKER_DIED))
                return "failed"
            connection.execute(_of(run_id).values(status="queued", deaths=deaths + 1))
            return "queued"

    def release(self, run_id: str) -> RunState | None:
        """Let a running run wait again because the server stops; nobody is to blame.

        "queued", or "cancelled" for one that was told to stop; None when it was not running.
        """
        with self._engine.begin() as connection:
            status, _, cancelling = self._look(connection, run_id)
            if status != "running":
                return None
            if cancelling:
                self._end(connection, run_id, "running", report_without_nodes(run_id, "cancelled"))
                return "cancelled"
            connection.execute(_of(run_id).values(status="queued"))
            return "queued"

    def recover(self) -> list[str]:
        """What a server does first: runs that the previous one left running wait again; those that it had told to stop
        are cancelled. The ids of those that wait."""
        with self._engine.begin() as connection:
            left = connection.execute(
                select(RUNS.c.run_id, RUNS.c.cancelling, RUNS.c.recoveries).where(RUNS.c.status == "running")
            ).all()
            waiting: list[str] = []
            for run_id, cancelling, recoveries in left:
                if cancelling:
                    self._end(connection, run_id, "running", report_without_nodes(run_id, "cancelled"))
                elif recoveries >= _MAX_RECOVERIES:
                    self._end(connection, run_id, "running", report_without_nodes(run_id, "failed", SERVER_DIED))
                else:
                    connection.execute(_of(run_id).values(status="queued", recoveries=recoveries + 1))
                    waiting.append(run_id)
        return waiting

    def cancel(self, run_id: str) -> RunState:
        """End a run that waits, or mark a running one to be stopped by its worker: "cancelled" or "running".

        Raises WorkflowError [run-unknown], [run-ended].
        """
        with self._engine.begin() as connection:
            if self._end(connection, run_id, "queued", report_without_nodes(run_id, "cancelled")):
                return "cancelled"
            told = connection.execute(_of(run_id).where(RUNS.c.status == "running").values(cancelling=True))
            if told.rowcount:
                return "running"
            status, *_ = self._look(connection, run_id)
        raise already_ended(run_id, status)

    def prioritise(self, run_id: str, priority: int) -> None:
        """Change a priority. Raises WorkflowError [run-unknown], [run-not-queued]."""
        with self._engine.begin() as connection:
            self._require_queued(connection, run_id)
            connection.execute(_of(run_id).values(priority=priority))

    def move_before(self, run_id: str, before: str) -> None:
        """Put a run right before another, with its priority. Raises WorkflowError [run-unknown], [run-not-queued]."""
        with self._engine.begin() as connection:
            _in_turn(connection)
            self._require_queued(connection, run_id)
            self._require_queued(connection, before)
            if run_id == before:
                return
            chosen = select(RUNS.c.position, RUNS.c.priority).where(RUNS.c.run_id == before)
            position, priority = connection.execute(chosen).one()
            behind = (RUNS.c.position >= position) & (RUNS.c.status.in_(("queued", "running")))
            connection.execute(update(RUNS).where(behind).values(position=RUNS.c.position + 1))
            connection.execute(_of(run_id).values(position=position, priority=priority))

    def retry(self, run_id: str, user: str) -> str:
        """Ask again for a run that ended; the id of the new one.

        Raises WorkflowError [run-unknown], [run-not-ended], [queue-full].
        """
        with self._engine.begin() as connection:
            status, *_ = self._look(connection, run_id)
            if status not in ENDED:
                raise not_ended(run_id, status)
            chosen = select(RUNS).where(RUNS.c.run_id == run_id)
            old = connection.execute(chosen).one()
            given = select(RUN_INPUTS.c.name, RUN_INPUTS.c.value).where(RUN_INPUTS.c.number == old.number)
            values = {row.name: row.value for row in connection.execute(given)}
        again = RunRequest(user, old.workflow, old.document, old.inputs, old.outputs, old.priority, old.words, values)
        return self.enqueue(again, retry_of=run_id)

    def forget(self, run_id: str) -> None:
        """Remove a run that ended from the history. Raises WorkflowError [run-unknown], [run-not-ended]."""
        with self._engine.begin() as connection:
            status, *_ = self._look(connection, run_id)
            if status not in ENDED:
                raise not_ended(run_id, status)
            connection.execute(delete(RUNS).where(RUNS.c.run_id == run_id))

    def pin(self, run_id: str, pinned: bool) -> None:
        """Let a run stay in the history, with its pictures, or no longer. Raises WorkflowError [run-unknown]."""
        with self._engine.begin() as connection:
            self._look(connection, run_id)
            connection.execute(delete(RUN_PINS).where(RUN_PINS.c.run_id == run_id))
            if pinned:
                connection.execute(insert(RUN_PINS).values(run_id=run_id))

    def waiting(self) -> int:
        """How many runs wait."""
        with self._engine.connect() as connection:
            return self._waiting(connection)

    def _row(self, connection: Connection, request: RunRequest) -> dict[str, Any]:
        last = connection.execute(select(func.coalesce(func.max(RUNS.c.position), 0))).scalar_one()
        return {
            "user": storable(request.user),
            "status": "queued",
            "priority": request.priority,
            "position": last + 1,
            "deaths": 0,
            "recoveries": 0,
            "cancelling": False,
            "created_s": self._clock(),
            "workflow": storable(request.workflow),
            "words": storable(request.words.casefold()),
            "inputs": dict(request.inputs),
            "outputs": None if request.outputs is None else list(request.outputs),
            "document": dict(request.document),
        }

    def _end(self, connection: Connection, run_id: str, status: RunState, report: Mapping[str, Any]) -> bool:
        ended = {
            "status": report["status"],
            "report": dict(report),
            "pictures": first_pictures(report),
            "finished_s": self._clock(),
            "cancelling": False,
        }
        return bool(connection.execute(_of(run_id).where(RUNS.c.status == status).values(ended)).rowcount)

    def _look(self, connection: Connection, run_id: str) -> tuple[RunState, int, bool]:
        chosen = select(RUNS.c.status, RUNS.c.deaths, RUNS.c.cancelling).where(RUNS.c.run_id == run_id)
        found = connection.execute(chosen.with_for_update()).one_or_none()
        if found is None:
            raise unknown(run_id)
        return found.status, found.deaths, found.cancelling

    def _require_queued(self, connection: Connection, run_id: str) -> None:
        status, *_ = self._look(connection, run_id)
        if status != "queued":
            raise not_queued(run_id, status)

    def _waiting(self, connection: Connection) -> int:
        counted = select(func.count()).select_from(RUNS).where(RUNS.c.status == "queued")
        return connection.execute(counted).scalar_one()


def _of(run_id: str) -> Any:
    return update(RUNS).where(RUNS.c.run_id == run_id)


def _next() -> Select[int]:
    """The number of the run that goes next."""
    same_user = _others.c.user == RUNS.c.user
    running = select(func.count()).select_from(_others).where(same_user, _others.c.status == "running")
    served = select(func.coalesce(func.max(_others.c.turn), 0)).where(same_user)
    return (
        select(RUNS.c.number)
        .where(RUNS.c.status == "queued")
        .order_by(
            RUNS.c.priority.desc(),
            running.correlate(RUNS).scalar_subquery(),
            served.correlate(RUNS).scalar_subquery(),
            RUNS.c.position,
            RUNS.c.number,
        )
        .limit(1)
    )


def _in_turn(connection: Connection) -> None:
    """What counts or numbers the queue goes one at a time; on SQLite every writer does."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ORDER_LOCK})
