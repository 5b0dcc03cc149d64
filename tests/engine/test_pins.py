"""What stays in a disk store: pinned results, and what runs that are going on need."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sdgraph.core.port import Link
from sdgraph.engine.stores.disk import DiskStore
from sdgraph.engine.stores.memory import MemoryStore
from sdgraph.errors import StoreError
from tests.engine.disk import key, payloads, tape
from tests.engine.runs import WAIT_S
from tests.engine.toys import Bench, Count, chain


def fill(store: DiskStore, count: int = 10) -> None:
    """100 kB each; the higher the number, the dearer to compute."""
    for number in range(count):
        store.save(key(number), tape(number, count=25_000, elapsed_s=1.0 + number))


def left(store: DiskStore, count: int = 10) -> list[int]:
    return [number for number in range(count) if store.find(key(number))]


def age(store: DiskStore) -> None:
    """Let everything have been used long ago."""
    store._index._connection.execute("UPDATE entries SET used_at = 5.0")


def test_pinned_results_survive_gc_and_clear(store: DiskStore) -> None:
    fill(store)
    store.pin(key(0))
    assert store.gc(budget_bytes=0)[0] == 9
    assert left(store) == [0]
    assert store.clear() == 0
    assert store.load(key(0)) is not None
    assert store.info().pinned == 1
    assert store.unpin(key(0))
    assert not store.unpin(key(0))
    assert store.clear() == 1
    assert left(store) == []


def test_clear_can_take_pinned_results_too(store: DiskStore) -> None:
    fill(store, 2)
    store.pin(key(0))
    assert store.clear(pinned=True) == 2
    assert (store.info().entries, store.info().objects, store.info().pinned) == (0, 0, 0)


def test_a_result_that_is_not_there_can_not_be_pinned(store: DiskStore) -> None:
    with pytest.raises(StoreError, match="result-missing"):
        store.pin(key(3))


def test_pins_are_seen_by_every_process_with_the_store(store: DiskStore) -> None:
    fill(store, 3)
    store.pin(key(1))
    other = DiskStore(store.folder, payloads())
    other.gc(budget_bytes=0)
    assert left(other, 3) == [1]
    other.close()


def test_a_store_keeps_to_its_budget_by_itself_and_the_dearest_stay(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, payloads(), budget_bytes=520_000)
    fill(store)
    age(store)
    store.save(key(50), tape(50, count=25_000, elapsed_s=100.0))
    assert store.info().nbytes <= 520_000
    assert 50 in left(store, 60)
    assert 9 in left(store)
    assert 0 not in left(store)
    store.close()


def test_a_store_never_outgrows_its_budget_for_long(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, payloads(), budget_bytes=350_000)
    for number in range(30):
        store.save(key(number), tape(number, count=25_000, elapsed_s=1.0))
        assert store.info().nbytes <= 450_000
    store.close()


def test_gc_leaves_what_a_run_that_is_going_on_reads_and_writes(store: DiskStore) -> None:
    fill(store)
    age(store)
    release = store.guard([key(0), key(1)])
    store.save(key(20), tape(20, count=25_000, elapsed_s=0.5))
    other = DiskStore(store.folder, payloads())
    other.gc(budget_bytes=0)
    assert left(store, 30) == [0, 1, 20]
    release()
    other.gc(budget_bytes=0)
    assert left(store, 30) == []
    other.close()


def test_the_run_of_a_killed_process_protects_nothing_any_longer(store: DiskStore) -> None:
    script = f"""
import os, signal
from pathlib import Path
from typing import Any
from sdgraph.engine.stores.base import Payloads
from sdgraph.core.port import Link
from sdgraph.engine.stores.disk import DiskStore
DiskStore(Path({str(store.folder)!r}), Payloads({{}})).guard([])
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], env=dict(os.environ), check=False)
    fill(store)
    store.gc(budget_bytes=0)
    assert left(store) == []


def test_gc_in_the_middle_of_a_run_costs_it_nothing(tmp_path: Path) -> None:
    bench = Bench(lambda payloads: DiskStore(tmp_path, payloads))
    bench.run(chain(3))
    begun, may_end = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        begun.set()
        assert may_end.wait(WAIT_S)

    workflow = chain(3)
    slow = workflow.add("slow", Count(name="slow", start=500)).out.value
    stored: Any = Link("n2", "value")
    workflow.output("more", workflow.add("more", Count(name="more", a=slow, b=stored)).out.value)
    bench.log.hooks["slow"] = hold
    bench.log.runs.clear()
    plan = bench.plan(workflow)
    reports: list[str] = []
    run = threading.Thread(target=lambda: reports.append(bench.run(plan).status))
    run.start()
    assert begun.wait(WAIT_S)
    assert isinstance(bench.store, DiskStore)
    bench.store.gc(budget_bytes=0)
    may_end.set()
    run.join(WAIT_S)
    assert reports == ["done"]
    assert set(bench.log.runs) == {"slow", "more"}
    bench.store.close()


def test_memory_does_not_evict_what_a_run_is_going_to_read() -> None:
    store = MemoryStore(payloads(), budget_bytes=5_000)
    store.save(key(0), tape(count=250, elapsed_s=1e-6))
    release = store.guard([key(0)])
    for number in range(1, 9):
        store.save(key(number), tape(number, count=250, elapsed_s=1.0))
    assert store.find(key(0)) == "memory"
    assert store.used_bytes <= 5_000
    release()
    store.save(key(20), tape(20, count=250, elapsed_s=1.0))
    assert store.find(key(0)) is None


def test_a_memory_store_that_is_full_of_what_is_needed_waits_with_evicting() -> None:
    store = MemoryStore(payloads(), budget_bytes=5_000)
    release = store.guard([key(number) for number in range(9)])
    for number in range(9):
        store.save(key(number), tape(number, count=250))
    assert len(store) == 9
    release()
    assert store.used_bytes <= 5_000


def test_the_account_of_a_store_agrees_with_its_files(store: DiskStore) -> None:
    fill(store, 5)
    store.save(key(30), tape(0, count=25_000, elapsed_s=9.0))  # the same content as the first one
    kept = store.info()
    assert (kept.entries, kept.objects) == (6, 5)
    assert kept.nbytes == sum(path.stat().st_size for _, path in store._objects.all())
    store.gc(budget_bytes=250_000)
    assert store.info().nbytes == sum(path.stat().st_size for _, path in store._objects.all())
    store._index.set_totals(99, 99)
    store.verify()
    assert store.info().objects == 2


def test_a_store_without_an_account_is_counted(store: DiskStore) -> None:
    fill(store, 3)
    store._index._connection.execute("DELETE FROM totals")
    assert store.info().objects == 3
    store.save(key(40), tape(40, count=25_000))
    assert store.info().objects == 4
