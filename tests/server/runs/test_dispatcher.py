"""From the queue to workers and back, with workers that do what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sdgraph.errors import SdgraphError
from sdgraph.server.runs.database import open_database, sqlite_url
from sdgraph.server.runs.dispatcher import Dispatcher
from sdgraph.server.runs.history import History
from sdgraph.server.runs.queue import RunQueue
from tests.server.runs.asking import asked
from tests.server.runs.fakes import Listening, ScriptedWorker

WHOLE = ["run_queued", "run_started", "run_finished done"]


class Stage:
    """A dispatcher at work, and what it works with."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.engine: Engine = open_database(sqlite_url(folder / "server.db"))
        self.workers = [ScriptedWorker(f"w{index}") for index in range(workers)]
        self.worker = self.workers[0]
        self.heard = Listening()
        self.dispatcher = Dispatcher(RunQueue(self.engine), self.workers, self.heard)

    def status(self, run_id: str) -> str:
        return History(self.engine).details(run_id).summary.status


@asynccontextmanager
async def stage(folder: Path, workers: int = 1) -> AsyncGenerator[Stage]:
    made = Stage(folder, workers)
    await made.dispatcher.start()
    try:
        yield made
    finally:
        await made.dispatcher.stop()
        made.engine.dispose()


def test_a_run_is_queued_performed_and_kept_and_told_in_this_order(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path) as on:
            first, second = await on.dispatcher.enqueue(asked()), await on.dispatcher.enqueue(asked())
            on.worker.go.put_nowait("done")
            await on.heard.heard(first, "run_finished done")
            assert on.status(first) == "done", "it can be asked for when it is told"
            assert await on.worker.began.get() == first
            assert await on.worker.began.get() == second
            on.worker.go.put_nowait("partial")
            await on.heard.heard(second, "run_finished partial")
            assert on.heard.of(first) == WHOLE
            assert on.heard.previews == 2

    asyncio.run(play())


def test_workers_perform_at_the_same_time(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path, workers=2) as on:
            runs = {await on.dispatcher.enqueue(asked()) for _ in range(2)}
            assert {await worker.began.get() for worker in on.workers} == runs

    asyncio.run(play())


def test_a_dead_worker_costs_one_more_try(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path) as on:
            run_id = await on.dispatcher.enqueue(asked())
            for said in ("die", "done"):
                on.worker.go.put_nowait(said)
            await on.heard.heard(run_id, "run_finished done")
            assert on.heard.of(run_id) == [*WHOLE[:2], *WHOLE]

    asyncio.run(play())


@pytest.mark.parametrize("death", ["die", "defect"])
def test_a_second_death_fails_the_run_and_the_next_one_goes_on(tmp_path: Path, death: str) -> None:
    async def play() -> None:
        async with stage(tmp_path) as on:
            run_id, other = await on.dispatcher.enqueue(asked()), await on.dispatcher.enqueue(asked())
            for said in (death, death, "done"):
                on.worker.go.put_nowait(said)
            await on.heard.heard(other, "run_finished done")
            assert on.heard.of(run_id)[-1] == "run_finished failed"
            assert on.status(run_id) == "failed"

    asyncio.run(play())


def test_a_running_run_is_cancelled_through_its_worker_and_a_waiting_one_at_once(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path) as on:
            running, waiting = await on.dispatcher.enqueue(asked()), await on.dispatcher.enqueue(asked())
            await on.worker.began.get()
            assert await on.dispatcher.cancel(waiting) == "cancelled"
            assert on.heard.of(waiting) == ["run_queued", "run_finished cancelled"]
            assert await on.dispatcher.cancel(running) == "running"
            await on.heard.heard(running, "run_finished cancelled")
            with pytest.raises(SdgraphError):
                await on.dispatcher.cancel(running)

    asyncio.run(play())


def test_a_server_that_stops_leaves_its_runs_to_the_next(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path) as on:
            run_id = await on.dispatcher.enqueue(asked())
            await on.worker.began.get()
        assert on.worker.stopped
        assert on.worker.ended == 1
        async with stage(tmp_path) as again:
            again.worker.go.put_nowait("done")
            await again.heard.heard(run_id, "run_finished done")
            assert again.heard.of(run_id) == WHOLE[1:], "it waited already"

    asyncio.run(play())


def test_what_a_killed_server_left_running_is_performed_by_the_next(tmp_path: Path) -> None:
    async def play() -> None:
        engine = open_database(sqlite_url(tmp_path / "server.db"))
        queue = RunQueue(engine)
        run_id = queue.enqueue(asked())
        assert queue.claim("w")
        engine.dispose()
        async with stage(tmp_path) as on:
            on.worker.go.put_nowait("done")
            await on.heard.heard(run_id, "run_finished done")
            assert on.heard.of(run_id) == WHOLE

    asyncio.run(play())


def test_a_cancelled_run_stays_cancelled_when_the_server_stops_meanwhile(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path) as on:
            run_id = await on.dispatcher.enqueue(asked())
            await on.worker.began.get()
            RunQueue(on.engine).cancel(run_id)
        engine = open_database(sqlite_url(tmp_path / "server.db"))
        assert History(engine).details(run_id).summary.status == "cancelled"
        assert on.heard.of(run_id)[-1] == "run_finished cancelled"
        engine.dispose()

    asyncio.run(play())


def test_a_moved_run_is_performed_in_its_new_place(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path) as on:
            running = await on.dispatcher.enqueue(asked())
            await on.worker.began.get()
            first, second, third = [await on.dispatcher.enqueue(asked()) for _ in range(3)]
            await on.dispatcher.change(third, None, first)
            await on.dispatcher.change(second, 5, None)
            for _ in range(4):
                on.worker.go.put_nowait("done")
            await on.heard.heard(first, "run_finished done")
            order = [run_id for run_id, said in on.heard.events if said == "run_started"]
            assert order == [running, second, third, first]

    asyncio.run(play())
