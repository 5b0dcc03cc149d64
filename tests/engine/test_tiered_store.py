"""Tiers: fast before slow, written behind the run's back, and nothing lost when something goes wrong there."""

import threading
from pathlib import Path

from sdgraph.engine.stores.base import NullStore, Result
from sdgraph.engine.stores.disk import DiskStore
from sdgraph.engine.stores.memory import MemoryStore
from sdgraph.engine.stores.tiered import TieredStore
from tests.engine.toys import Bench, chain

WAIT_S = 20.0
PAYLOADS = Bench(MemoryStore).payloads


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def result(number: int) -> Result:
    return Result({"value": number}, 1.0, "toy")


class SlowStore(MemoryStore):
    """A store whose writes wait until they may."""

    def __init__(self) -> None:
        super().__init__(PAYLOADS)
        self.may_write = threading.Event()
        self.began = threading.Semaphore(0)
        self.broken = False

    def find(self, key: bytes) -> str | None:
        return "disk" if super().find(key) else None

    def save(self, key: bytes, result: Result, *, keep: bool = False) -> None:
        self.began.release()
        assert self.may_write.wait(WAIT_S)
        if self.broken:
            raise OverflowError("no more shelves")
        super().save(key, result, keep=keep)


def tiers() -> tuple[TieredStore, MemoryStore, SlowStore]:
    fast, slow = MemoryStore(PAYLOADS), SlowStore()
    return TieredStore(PAYLOADS, fast, slow), fast, slow


def test_a_result_is_there_at_once_and_on_the_slow_store_after_a_flush() -> None:
    store, fast, slow = tiers()
    store.save(key(1), result(1))
    assert store.find(key(1)) == "memory"
    assert slow.find(key(1)) is None
    slow.may_write.set()
    store.flush()
    assert slow.find(key(1)) == "disk"
    assert len(fast) == 1
    store.close()


def test_what_only_the_slow_store_has_is_copied_up_when_it_is_read() -> None:
    store, fast, slow = tiers()
    slow.may_write.set()
    slow.save(key(1), result(1))
    assert store.find(key(1)) == "disk"
    assert store.load(key(1)) == result(1)
    assert fast.find(key(1)) == "memory"
    store.close()


def test_closing_writes_what_is_pending() -> None:
    store, _, slow = tiers()
    for number in range(10):
        store.save(key(number), result(number))
    slow.may_write.set()
    store.close()
    assert len(slow) == 10
    store.close()


def test_a_run_that_is_faster_than_the_disk_waits_for_it_instead_of_filling_memory() -> None:
    slow = SlowStore()
    store = TieredStore(PAYLOADS, NullStore(), slow, pending_budget_bytes=1_000)
    saved = threading.Semaphore(0)

    def fill() -> None:
        for number in range(20):
            store.save(key(number), result(number))  # 64 bytes each
            saved.release()

    thread = threading.Thread(target=fill)
    thread.start()
    for _ in range(1_000 // 64):
        assert saved.acquire(timeout=WAIT_S)
    assert not saved.acquire(timeout=0.05)  # the next one waits
    slow.may_write.set()
    thread.join(WAIT_S)
    store.close()
    assert len(slow) == 20


def test_a_result_that_is_larger_than_what_may_be_pending_is_written_all_the_same() -> None:
    slow = SlowStore()
    slow.may_write.set()
    store = TieredStore(PAYLOADS, NullStore(), slow, pending_budget_bytes=10)
    for number in range(3):
        store.save(key(number), result(number))
    store.close()
    assert len(slow) == 3


def test_a_claim_on_the_slow_store_is_given_back_only_when_the_result_is_there() -> None:
    store, _, slow = tiers()
    release = store.claim(key(1))
    assert release is not None
    assert store.claim(key(1)) is None
    store.save(key(1), result(1))
    release()
    assert slow.is_claimed(key(1))
    slow.may_write.set()
    store.flush()
    assert not store.is_claimed(key(1))
    assert slow.find(key(1)) == "disk"
    store.close()


def test_a_claim_that_another_process_has_leaves_no_claim_behind() -> None:
    store, fast, slow = tiers()
    assert slow.claim(key(1)) is not None
    assert store.claim(key(1)) is None
    assert not fast.is_claimed(key(1))
    slow.may_write.set()
    store.close()


def test_an_error_while_writing_in_the_background_is_a_warning() -> None:
    store, _, slow = tiers()
    slow.broken = True
    slow.may_write.set()
    store.save(key(1), result(1))
    store.flush()
    (problem,) = store.take_problems()
    assert (problem.code, problem.severity) == ("result-not-stored", "warning")
    assert "no more shelves" in problem.message
    assert store.load(key(1)) == result(1)
    store.close()


def test_nothing_is_queued_for_a_store_that_does_not_want_it() -> None:
    store = TieredStore(PAYLOADS, MemoryStore(PAYLOADS), NullStore())
    store.save(key(1), result(1))
    assert store._jobs == 0
    assert store.find(key(1)) == "memory"
    store.close()


def test_a_restart_finds_on_disk_what_memory_lost(tmp_path: Path) -> None:
    def bench() -> Bench:
        return Bench(lambda payloads: TieredStore(payloads, MemoryStore(payloads), DiskStore(tmp_path, payloads)))

    first = bench()
    report = first.run(chain(5))
    first.store.close()
    second = bench()
    plan = second.plan(chain(5))
    assert plan.step_of["n4"].tier == "disk"
    again = second.run(plan)
    assert again.outputs == report.outputs
    assert again.nodes["n4"].store == "disk"
    assert second.log.runs.total() == 0
    assert second.plan(chain(5)).step_of["n4"].tier == "memory"
    second.store.close()
