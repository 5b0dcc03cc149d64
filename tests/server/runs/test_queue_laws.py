"""Whatever happens in whatever order, the queue does what a list in memory would: nothing is lost or done twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, delete

from sdgraph.errors import SdgraphError
from sdgraph.server.runs.history import History, Wanted
from sdgraph.server.runs.queue import RunQueue
from sdgraph.server.runs.tables import RUNS
from tests.server.runs.asking import asked, ended

LIMIT = 6
USERS = st.sampled_from(["ann", "bob", "cat"])
PRIORITIES = st.sampled_from([0, 0, 0, 1])
ASKED = st.lists(st.tuples(USERS, PRIORITIES), min_size=1, max_size=4)


@dataclass
class Expected:
    """A run as the list in memory knows it."""

    run_id: str
    user: str
    priority: int
    status: str = "queued"
    deaths: int = 0
    cancelling: bool = False
    turn: int = 0


@dataclass
class Model:
    """All runs, in the order in which those of one priority and user go."""

    runs: list[Expected] = field(default_factory=list[Expected])
    turns: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def of(self, run_id: str) -> Expected:
        return next(run for run in self.runs if run.run_id == run_id)

    def all(self, status: str) -> list[Expected]:
        return [run for run in self.runs if run.status == status]

    def next(self) -> Expected | None:
        """Highest priority; then the user with the fewest running, served the longest ago; then the order."""

        def rank(run: Expected) -> tuple[int, int, int]:
            own = [other for other in self.runs if other.user == run.user]
            running = sum(other.status == "running" for other in own)
            return (-run.priority, running, max(other.turn for other in own))

        return min(self.all("queued"), key=rank, default=None)


class QueueMachine(RuleBasedStateMachine):
    """The queue and the list, told the same."""

    engine: Engine
    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.queue = RunQueue(self.engine, LIMIT)

    @initialize(target=runs, wanted=ASKED)
    def begin(self, wanted: list[tuple[str, int]]) -> object:
        with self.engine.begin() as connection:
            connection.execute(delete(RUNS))
        return self.ask(wanted)

    @rule(target=runs, wanted=ASKED)
    @precondition(lambda self: len(self.model.all("queued")) < LIMIT)
    def ask_more(self, wanted: list[tuple[str, int]]) -> object:
        return self.ask(wanted)

    def ask(self, wanted: list[tuple[str, int]]) -> object:
        """Ask for runs of users with priorities, as many of them as may wait."""
        made: list[str] = []
        for user, priority in wanted[: LIMIT - len(self.model.all("queued"))]:
            made.append(self.queue.enqueue(asked(user, priority)))
            self.model.runs.append(Expected(made[-1], user, priority))
        return multiple(*made)

    @rule(user=USERS)
    @precondition(lambda self: len(self.model.all("queued")) >= LIMIT)
    def ask_too_much(self, user: str) -> None:
        self._is_refused("queue-full", lambda: self.queue.enqueue(asked(user)))

    @rule(times=st.integers(1, 3))
    def claim(self, times: int) -> None:
        for _ in range(times):
            self.claim_one()

    def claim_one(self) -> None:
        expected, found = self.model.next(), self.queue.claim("w")
        if expected is None:
            assert found is None
            return
        assert found is not None
        assert (found.run_id, found.attempt) == (expected.run_id, expected.deaths + 1)
        expected.status, expected.turn = "running", next(self.model.turns)

    @rule(run_id=runs, status=st.sampled_from(["done", "partial", "failed", "cancelled"]))
    def finish(self, run_id: str, status: str) -> None:
        run = self.model.of(run_id)
        assert self.queue.finish(run_id, ended(run_id, status)) == (run.status == "running")
        if run.status == "running":
            run.status, run.cancelling = status, False

    @rule(run_id=runs)
    def the_worker_dies(self, run_id: str) -> None:
        run = self.model.of(run_id)
        if run.status == "running":
            if run.cancelling:
                run.status, run.cancelling = "cancelled", False
            elif run.deaths:
                run.status = "failed"
            else:
                run.status, run.deaths = "queued", 1
        assert self.queue.requeue(run_id) == run.status

    @rule(run_id=runs)
    def the_server_stops(self, run_id: str) -> None:
        run = self.model.of(run_id)
        if run.status != "running":
            assert self.queue.release(run_id) is None
            return
        run.status, run.cancelling = ("cancelled", False) if run.cancelling else ("queued", False)
        assert self.queue.release(run_id) == run.status

    @rule(run_id=runs)
    def cancel(self, run_id: str) -> None:
        run = self.model.of(run_id)
        if run.status == "queued":
            assert self.queue.cancel(run_id) == "cancelled"
            run.status = "cancelled"
        elif run.status == "running":
            assert self.queue.cancel(run_id) == "running"
            run.cancelling = True
        else:
            self._is_refused("run-ended", lambda: self.queue.cancel(run_id))

    @rule(run_id=runs, priority=PRIORITIES)
    def prioritise(self, run_id: str, priority: int) -> None:
        run = self.model.of(run_id)
        if run.status == "queued":
            self.queue.prioritise(run_id, priority)
            run.priority = priority
        else:
            self._is_refused("run-not-queued", lambda: self.queue.prioritise(run_id, priority))

    @rule(run_id=runs, before=runs)
    def move(self, run_id: str, before: str) -> None:
        run, other = self.model.of(run_id), self.model.of(before)
        if run.status != "queued" or other.status != "queued":
            self._is_refused("run-not-queued", lambda: self.queue.move_before(run_id, before))
            return
        self.queue.move_before(run_id, before)
        if run is not other:
            self.model.runs.remove(run)
            self.model.runs.insert(self.model.runs.index(other), run)
            run.priority = other.priority

    @rule(target=runs, run_id=runs, user=USERS)
    @precondition(lambda self: len(self.model.all("queued")) < LIMIT)
    def retry(self, run_id: str, user: str) -> object:
        run = self.model.of(run_id)
        if run.status in ("queued", "running"):
            self._is_refused("run-not-ended", lambda: self.queue.retry(run_id, user))
            return multiple()
        again = self.queue.retry(run_id, user)
        self.model.runs.append(Expected(again, user, run.priority))
        return again

    @rule()
    def the_server_is_killed_and_starts_again(self) -> None:
        for run in self.model.all("running"):
            run.status, run.cancelling = ("cancelled", False) if run.cancelling else ("queued", False)
        self.queue = RunQueue(self.engine, LIMIT)
        self.queue.recover()

    @invariant()
    def every_run_is_there_once_in_the_same_state(self) -> None:
        found = {run.run_id: run for run in History(self.engine).page(Wanted(limit=500)).runs}
        expected = {run.run_id: (run.status, run.cancelling) for run in self.model.runs}
        assert {run_id: (run.status, run.cancelling) for run_id, run in found.items()} == expected

    def _is_refused(self, code: str, call: Callable[[], object]) -> None:
        with pytest.raises(SdgraphError) as refused:
            call()
        assert refused.value.code == code


def test_the_queue_does_what_a_list_in_memory_would(engine: Engine) -> None:
    machine = type("Machine", (QueueMachine,), {"engine": engine})
    few = settings(max_examples=25, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(machine, settings=few)
