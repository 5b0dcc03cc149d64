"""Disks that fill up, other versions of the program, and runs that were interrupted: what is stored stays right."""

import errno
import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from sdgraph.engine.stores.base import Result
from sdgraph.engine.stores.disk import FORMAT_FOLDER, DiskStore
from tests.engine.disk import key, payloads, tape
from tests.engine.runs import diamond
from tests.engine.toys import Bench, chain

WRITTEN_BEFORE = Path(__file__).parent / "stores" / "written_by_0.1"
"""A store as version 0.1 left it before its index kept account of objects: three tapes, levels 0 to 2."""


def same(found: Result | None, level: float) -> bool:
    return found is not None and bool((found.outputs["tape"].samples == np.full(8, level, np.float32)).all())


# No room.


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_when_a_file_is_written_costs_the_storing_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    store = DiskStore(tmp_path, payloads())
    store.save(key(1), tape(1.0), keep=True)
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        store.save(key(2), tape(2.0), keep=True)
    assert [problem.code for problem in store.take_problems()] == ["store-disk-full"]
    assert store.find(key(2)) is None
    assert same(store.load(key(1)), 1.0)
    assert not list(tmp_path.rglob(".writing-*"))
    store.close()


# Other versions.


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WRITTEN_BEFORE, tmp_path / "store"))


def test_a_store_written_by_the_version_before_is_read_and_added_to(old: Path) -> None:
    store = DiskStore(old, payloads())
    assert all(same(store.load(key(number)), number) for number in range(3))
    assert (store.info().entries, store.info().objects) == (3, 3)
    assert store.show(key(1)).made is None
    store.save(key(9), tape(9.0), keep=True)
    assert (store.info().entries, store.info().objects) == (4, 4)
    assert store.verify() == (4, 0)
    assert store.take_problems() == []
    store.close()


def test_two_versions_of_the_program_use_one_store_at_the_same_time(old: Path) -> None:
    store = DiskStore(old, payloads())
    earlier = sqlite3.connect(old / FORMAT_FOLDER / "index.sqlite3", isolation_level=None)
    store.save(key(9), tape(9.0), keep=True)
    row = earlier.execute("SELECT * FROM entries WHERE key = ?", [key(0)]).fetchone()
    earlier.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?)", row)  # as it does
    earlier.execute("DELETE FROM entries WHERE key = ?", [key(1)])
    assert earlier.execute("SELECT COUNT(*) FROM entries").fetchone() == (3,)
    earlier.close()
    assert same(store.load(key(0)), 0)
    assert store.load(key(1)) is None
    assert same(store.load(key(9)), 9.0)
    assert store.take_problems() == []
    store.close()


def test_another_format_has_a_folder_of_its_own(old: Path) -> None:
    later = old / "v2"
    later.mkdir()
    (later / "index.sqlite3").write_bytes(b"something that this version does not know")
    store = DiskStore(old, payloads())
    store.clear()
    store.gc(0)
    store.close()
    assert (later / "index.sqlite3").read_bytes() == b"something that this version does not know"


# Runs.


def test_a_resumed_run_executes_only_what_was_not_stored(tmp_path: Path) -> None:
    def bench() -> Bench:
        return Bench(lambda payloads: DiskStore(tmp_path, payloads))

    first = bench()
    first.executor.costs.learn("toy.count", 1.0)
    stored: list[bytes] = []
    save = first.store.save

    def save_two(key: bytes, result: Result, *, keep: bool = False) -> None:
        if len(stored) < 2:
            save(key, result, keep=True)
            stored.append(key)

    first.store.save = save_two  # pyright: ignore[reportAttributeAccessIssue]
    report = first.run(chain(5))
    first.store.close()
    second = bench()
    plan = second.plan(chain(5))
    assert [name for name, step in plan.step_of.items() if step.tier] == ["n0", "n1"]
    again = second.run(plan)
    assert again.outputs == report.outputs
    assert sorted(second.log.runs) == ["n2", "n3", "n4"]
    assert second.run(diamond()).status == "done"
    second.store.close()
