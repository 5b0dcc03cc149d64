"""The queue: who is next, what can be changed, and what survives a death."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from sdgraph.errors import SdgraphError
from sdgraph.server.runs.database import open_database
from sdgraph.server.runs.history import History
from sdgraph.server.runs.queue import RunQueue
from tests.server.runs.asking import asked, ended


@pytest.fixture
def queue(engine: Engine) -> RunQueue:
    return RunQueue(engine)


def claimed(queue: RunQueue) -> str | None:
    run = queue.claim("w")
    return run and run.run_id


def status(engine: Engine, run_id: str) -> str:
    return History(engine).details(run_id).summary.status


def refused(error: pytest.ExceptionInfo[SdgraphError]) -> str:
    return error.value.code


def test_a_claimed_run_is_what_was_asked_for(queue: RunQueue) -> None:
    run_id = queue.enqueue(asked("ann", prompt="ein großer Bär \0 \ud800"))
    run = queue.claim("cpu")
    assert run is not None
    assert (run.run_id, run.user, run.workflow, run.attempt) == (run_id, "ann", "wave", 1)
    assert (run.document, run.inputs, run.outputs) == ({"name": "wave"}, {"prompt": "ein großer Bär \0 \ud800"}, None)
    assert queue.claim("cpu") is None


def test_the_highest_priority_goes_first_and_then_who_came_first(queue: RunQueue) -> None:
    first, second, urgent = queue.enqueue(asked()), queue.enqueue(asked()), queue.enqueue(asked(priority=5))
    assert [claimed(queue) for _ in range(3)] == [urgent, first, second]


def test_one_who_asks_for_much_does_not_keep_others_waiting(queue: RunQueue) -> None:
    many = [queue.enqueue(asked("ann")) for _ in range(3)]
    one = queue.enqueue(asked("bob"))
    assert [claimed(queue) for _ in range(4)] == [many[0], one, many[1], many[2]]


def test_users_are_served_in_turns_when_one_worker_performs_run_after_run(queue: RunQueue) -> None:
    for user in ("ann", "ann", "ann", "bob", "bob", "cat"):
        queue.enqueue(asked(user))
    served: list[str] = []
    while run := queue.claim("w"):
        served.append(run.user)
        queue.finish(run.run_id, ended(run.run_id))
    assert served == ["ann", "bob", "cat", "ann", "bob", "ann"]


def test_a_run_can_be_put_before_another(queue: RunQueue) -> None:
    first, second, third = (queue.enqueue(asked()) for _ in range(3))
    queue.move_before(third, second)
    queue.move_before(first, first)
    assert [claimed(queue) for _ in range(3)] == [first, third, second]


def test_a_run_put_before_an_urgent_one_is_as_urgent(queue: RunQueue) -> None:
    slow, urgent = queue.enqueue(asked()), queue.enqueue(asked(priority=9))
    queue.move_before(slow, urgent)
    assert [claimed(queue), claimed(queue)] == [slow, urgent]


def test_a_priority_can_be_changed_while_a_run_waits(queue: RunQueue) -> None:
    first, second = queue.enqueue(asked()), queue.enqueue(asked())
    queue.prioritise(second, 1)
    assert claimed(queue) == second
    with pytest.raises(SdgraphError) as error:
        queue.prioritise(second, 2)
    assert refused(error) == "run-not-queued"
    with pytest.raises(SdgraphError) as error:
        queue.move_before(first, second)
    assert refused(error) == "run-not-queued"


def test_a_waiting_run_is_cancelled_at_once_and_a_running_one_is_marked(queue: RunQueue, engine: Engine) -> None:
    running, waiting = queue.enqueue(asked()), queue.enqueue(asked())
    assert claimed(queue) == running
    assert (queue.cancel(waiting), queue.cancel(running)) == ("cancelled", "running")
    assert claimed(queue) is None
    assert (status(engine, waiting), History(engine).details(running).summary.cancelling) == ("cancelled", True)
    with pytest.raises(SdgraphError) as error:
        queue.cancel(waiting)
    assert refused(error) == "run-ended"
    with pytest.raises(SdgraphError) as error:
        queue.cancel("nothing")
    assert refused(error) == "run-unknown"


def test_a_dead_worker_costs_a_run_one_more_try_and_a_second_one_fails_it(queue: RunQueue, engine: Engine) -> None:
    run_id, other = queue.enqueue(asked()), queue.enqueue(asked())
    assert claimed(queue) == run_id
    assert queue.requeue(run_id) == "queued"
    again = queue.claim("w")
    assert again is not None
    assert (again.run_id, again.attempt) == (run_id, 2), "it keeps its place"
    assert queue.requeue(run_id) == "failed"
    report = History(engine).details(run_id).report
    assert report is not None
    assert (report["status"], [problem["code"] for problem in report["problems"]]) == ("failed", ["worker-died"])
    assert claimed(queue) == other


def test_a_cancelled_run_is_not_tried_again_when_its_worker_dies(queue: RunQueue, engine: Engine) -> None:
    run_id = queue.enqueue(asked())
    claimed(queue)
    queue.cancel(run_id)
    assert (queue.requeue(run_id), status(engine, run_id)) == ("cancelled", "cancelled")
    assert queue.requeue(run_id) == "cancelled"


def test_after_a_killed_server_all_runs_that_had_not_ended_wait(engine: Engine, database_url: str) -> None:
    before = RunQueue(engine)
    running, stopping, waiting = (before.enqueue(asked()) for _ in range(3))
    assert [claimed(before), claimed(before)] == [running, stopping]
    before.cancel(stopping)
    engine.dispose()
    reopened = open_database(database_url)
    queue = RunQueue(reopened)
    assert queue.recover() == [running]
    assert status(reopened, stopping) == "cancelled"
    assert [claimed(queue), claimed(queue), claimed(queue)] == [running, waiting, None]
    reopened.dispose()


def test_a_run_that_kills_every_server_fails_at_last(queue: RunQueue, engine: Engine) -> None:
    run_id, tries = queue.enqueue(asked()), 0
    while claimed(queue):
        tries += 1
        queue.recover()
    report = History(engine).details(run_id).report
    assert report is not None
    assert (tries, report["problems"][0]["code"]) == (11, "server-died")


def test_a_server_that_stops_blames_nobody(queue: RunQueue) -> None:
    run_id = queue.enqueue(asked())
    for _ in range(15):
        run = queue.claim("w")
        assert run is not None
        assert (run.run_id, run.attempt) == (run_id, 1)
        assert queue.release(run_id) == "queued"


def test_a_run_that_ended_can_be_asked_for_again(queue: RunQueue, engine: Engine) -> None:
    run_id = queue.enqueue(asked("ann", priority=3, seed="7"))
    with pytest.raises(SdgraphError) as error:
        queue.retry(run_id, "bob")
    assert refused(error) == "run-not-ended"
    queue.cancel(run_id)
    again = queue.retry(run_id, "bob")
    found, old = History(engine).details(again), History(engine).details(run_id)
    assert (found.summary.retry_of, found.summary.user, found.summary.priority) == (run_id, "bob", 3)
    assert (found.document, found.summary.inputs) == (old.document, old.summary.inputs)
    assert claimed(queue) == again


def test_no_more_runs_wait_than_may_not_even_when_all_ask_at_once(engine: Engine) -> None:
    queue = RunQueue(engine, limit=5)
    start = threading.Barrier(4)

    def ask(_: int) -> int:
        start.wait()
        full = 0
        for _ in range(3):
            try:
                queue.enqueue(asked())
            except SdgraphError:
                full += 1
        return full

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(ask, range(4))) == 12 - 5
    assert queue.waiting() == 5
    with pytest.raises(SdgraphError) as error:
        queue.enqueue(asked())
    assert refused(error) == "queue-full"


def test_many_claimers_at_once_get_every_run_exactly_once(queue: RunQueue) -> None:
    asked_for = {queue.enqueue(asked(user)) for user in ("ann", "bob", "cat") for _ in range(10)}
    start = threading.Barrier(4)

    def work(worker: int) -> list[str]:
        start.wait()
        mine: list[str] = []
        while run := queue.claim(f"w{worker}"):
            mine.append(run.run_id)
            assert queue.finish(run.run_id, ended(run.run_id))
        return mine

    with ThreadPoolExecutor(4) as threads:
        got = Counter(run_id for mine in threads.map(work, range(4)) for run_id in mine)
    assert got == Counter(asked_for)


def test_a_report_counts_only_once(queue: RunQueue, engine: Engine) -> None:
    run_id = queue.enqueue(asked())
    assert not queue.finish(run_id, ended(run_id))
    claimed(queue)
    assert queue.finish(run_id, ended(run_id, "partial"))
    assert not queue.finish(run_id, ended(run_id, "done"))
    assert status(engine, run_id) == "partial"


def test_a_run_that_ended_can_be_forgotten(queue: RunQueue, engine: Engine) -> None:
    run_id = queue.enqueue(asked(seed="7"))
    with pytest.raises(SdgraphError) as error:
        queue.forget(run_id)
    assert refused(error) == "run-not-ended"
    queue.cancel(run_id)
    queue.forget(run_id)
    with pytest.raises(SdgraphError) as error:
        History(engine).details(run_id)
    assert refused(error) == "run-unknown"
