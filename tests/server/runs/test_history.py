"""The history: found by words and by values, page by page, and no longer than wanted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from sdgraph.server.needed import needed_digests
from sdgraph.server.runs.history import History, Wanted
from sdgraph.server.runs.queue import RunQueue
from tests.server.runs.asking import asked, ended

PICTURE = {"digest": "ab", "url": "/api/results/ab", "media_type": "image/png", "width_px": 8, "height_px": 8}


class Hours:
    """A clock that goes on by an hour whenever it is read."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        self.now_s += 3600.0
        return self.now_s


@pytest.fixture
def queue(engine: Engine) -> RunQueue:
    return RunQueue(engine, clock=Hours())


def finish(queue: RunQueue, **outputs: Any) -> str:
    run = queue.claim("w")
    assert run is not None
    queue.finish(run.run_id, ended(run.run_id, **outputs))
    return run.run_id


def ids(engine: Engine, wanted: Wanted) -> list[str]:
    return [run.run_id for run in History(engine).page(wanted).runs]


def test_pages_hold_every_run_once_also_when_more_are_asked_for_meanwhile(queue: RunQueue, engine: Engine) -> None:
    runs = [queue.enqueue(asked()) for _ in range(7)]
    history, seen, before = History(engine), list[str](), None
    while True:
        page = history.page(Wanted(limit=3, before=before))
        seen += [run.run_id for run in page.runs]
        before = page.next
        if before is None:
            break
        queue.enqueue(asked())
    assert seen == runs[::-1]


def test_a_search_finds_all_its_words_in_any_order_and_case(queue: RunQueue, engine: Engine) -> None:
    bear = queue.enqueue(asked(name="portrait", prompt="A brown BÄR, 100% fluffy_fur"))
    queue.enqueue(asked(name="portrait", prompt="a black cat, 1000 fluffyXfur"))
    assert ids(engine, Wanted(search="bär Brown")) == [bear]
    assert ids(engine, Wanted(search="PORTRAIT 100% fluffy_")) == [bear]
    assert ids(engine, Wanted(search="brown cat")) == []
    assert len(ids(engine, Wanted(search=""))) == 2


def test_runs_are_found_by_the_value_of_an_input(queue: RunQueue, engine: Engine) -> None:
    first = queue.enqueue(asked(seed="7", steps="20"))
    second = queue.enqueue(asked(seed="7", steps="30"))
    queue.enqueue(asked(seed="70"))
    assert ids(engine, Wanted(inputs=(("seed", "7"),))) == [second, first]
    assert ids(engine, Wanted(inputs=(("seed", "7"), ("steps", "20")))) == [first]
    again = queue.retry(queue.cancel(first) and first, "ann")
    assert ids(engine, Wanted(inputs=(("seed", "7"), ("steps", "20")))) == [again, first]


def test_runs_are_found_by_state_and_user(queue: RunQueue, engine: Engine) -> None:
    ann, bob = queue.enqueue(asked("ann")), queue.enqueue(asked("bob"))
    finish(queue)
    assert ids(engine, Wanted(states=("queued",))) == [bob]
    assert ids(engine, Wanted(states=("queued", "done"), user="ann")) == [ann]
    assert History(engine).counts() == {"queued": 1, "done": 1}


def test_the_first_pictures_stand_in_the_list_and_everything_in_the_details(queue: RunQueue, engine: Engine) -> None:
    queue.enqueue(asked(seed="7"))
    run_id = finish(queue, image=[PICTURE] * 6, count=[6])
    details = History(engine).details(run_id)
    assert details.summary.pictures == {"image": [PICTURE] * 4}
    assert details.report is not None
    assert details.report["outputs"] == {"image": [PICTURE] * 6, "count": [6]}
    assert details.summary.finished_s is not None
    assert details.summary.started_s is not None
    assert details.summary.created_s < details.summary.started_s < details.summary.finished_s


def test_old_runs_are_removed_and_waiting_ones_never(queue: RunQueue, engine: Engine) -> None:
    runs = [queue.enqueue(asked(seed="7")) for _ in range(30)]
    for _ in range(28):
        finish(queue)
    history = History(engine, clock=lambda: 1_000_000.0 + 86 * 3600.0)
    assert history.prune(keep=None, keep_days=1.0) == 15
    assert ids(engine, Wanted(limit=100)) == runs[15:][::-1]
    assert history.prune(keep=3, keep_days=None) == 10
    assert ids(engine, Wanted(limit=100)) == runs[25:][::-1]
    assert history.prune(keep=3, keep_days=None) == 0
    assert ids(engine, Wanted(inputs=(("seed", "7"),), limit=100)) == runs[25:][::-1]
    assert history.prune(keep=0, keep_days=None) == 3
    assert ids(engine, Wanted()) == runs[28:][::-1]


def test_a_pinned_run_stays_until_it_is_let_go(queue: RunQueue, engine: Engine) -> None:
    runs = [queue.enqueue(asked(seed="7")) for _ in range(3)]
    for _ in runs:
        finish(queue)
    queue.pin(runs[0], True)
    queue.pin(runs[0], True)
    history = History(engine)
    assert history.prune(keep=1, keep_days=None) == 1
    assert [(run.run_id, run.pinned) for run in history.page(Wanted()).runs] == [(runs[2], False), (runs[0], True)]
    assert history.details(runs[0]).summary.pinned
    queue.pin(runs[0], False)
    assert history.prune(keep=1, keep_days=None) == 1
    queue.pin(runs[2], True)
    queue.forget(runs[2])
    assert ids(engine, Wanted()) == []


def test_files_are_needed_by_runs_that_wait_or_are_pinned_and_by_saved_workflows(
    queue: RunQueue, engine: Engine, tmp_path: Path
) -> None:
    queued, pinned, forgotten, saved, given = (letter * 64 for letter in "abcde")
    queue.enqueue(replace(asked(), inputs={"file": f"upload:{pinned}.png"}))
    run_id = finish(queue, image=[PICTURE | {"digest": given}])
    queue.enqueue(replace(asked(), document={"nodes": {"n": {"values": {"file": f"upload:{forgotten}.png"}}}}))
    finish(queue, image=[PICTURE])
    queue.enqueue(replace(asked(), document={"nodes": {"n": {"values": {"file": f"upload:{queued}.jpg"}}}}))
    (tmp_path / "mine.json").write_text(f'{{"file": "upload:{saved}.webp"}}')
    (tmp_path / "broken.json").write_bytes(b"\xff upload:")
    assert needed_digests(engine, tmp_path) == {queued, saved}
    queue.pin(run_id, True)
    assert needed_digests(engine, tmp_path) == {queued, saved, pinned, given}
