"""Looking after a disk store: what goes first, what stays, what is noted."""

import os
import time

import pytest

from sdgraph.engine.stores.disk import FORMAT_FOLDER, DiskStore
from tests.engine.disk import key, tape


def test_gc_removes_what_is_least_worth_keeping_until_the_rest_fits(store: DiskStore) -> None:
    for number in range(10):
        store.save(key(number), tape(number, count=25_000, elapsed_s=1.0 + number))  # 100 kB each
    removed, freed = store.gc(budget_bytes=350_000)
    assert removed == 7
    assert freed == pytest.approx(700_000, rel=0.01)
    assert [number for number in range(10) if store.load(key(number))] == [7, 8, 9]
    assert store.take_problems() == []


def test_gc_leaves_an_object_that_another_entry_names(store: DiskStore) -> None:
    store.save(key(1), tape(count=25_000, elapsed_s=1.0))
    store.save(key(2), tape(count=25_000, elapsed_s=2.0))
    store.save(key(3), tape(7.0, count=25_000, elapsed_s=1.5))
    store.gc(budget_bytes=150_000)
    assert store.load(key(2)) is not None


def test_gc_removes_old_files_that_nothing_names_and_leaves_young_ones(store: DiskStore) -> None:
    folder = store.folder / FORMAT_FOLDER / "objects" / "00"
    folder.mkdir(parents=True)
    old, young = folder / ".writing-old", folder / ".writing-young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    store.gc(budget_bytes=10**9)
    assert (old.exists(), young.exists()) == (False, True)


def test_clear_removes_everything(store: DiskStore) -> None:
    for number in range(3):
        store.save(key(number), tape(number))
    assert store.clear() == 3
    assert (store.info().entries, store.info().objects) == (0, 0)
    assert store.find(key(1)) is None


def test_use_is_noted_but_not_at_every_use(store: DiskStore) -> None:
    store.save(key(1), tape())
    index = store._index
    index._connection.execute("UPDATE entries SET used_at = 5.0")
    assert store.load(key(1)) is not None
    (noted,) = (row.used_at for row in index.rows())
    assert noted == pytest.approx(time.time(), abs=60)
    index._connection.execute("UPDATE entries SET used_at = used_at - 10.0")
    assert store.load(key(1)) is not None
    assert [row.used_at for row in index.rows()] == [noted - 10.0]
