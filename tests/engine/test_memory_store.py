"""The memory store: a byte budget, and eviction that weighs what a result costs to make again."""

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sdgraph.engine.stores.base import Result
from sdgraph.engine.stores.memory import ENTRY_BYTES, MemoryStore
from tests.engine.toys import Bench, Tape

KIB = 1024


def tape(kib: int, elapsed_s: float = 1.0) -> Result:
    return Result({"tape": Tape(np.zeros(kib * KIB // 4, np.float32))}, elapsed_s)


def store_of(kib: int) -> MemoryStore:
    return MemoryStore(Bench(MemoryStore).payloads, kib * KIB)


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_what_was_saved_is_found_and_loaded() -> None:
    store, result = store_of(100), tape(1)
    store.save(key(1), result)
    assert store.find(key(1)) == "memory"
    assert store.load(key(1)) is result
    assert store.find(key(2)) is None
    assert store.load(key(2)) is None


def test_the_result_that_is_cheapest_to_make_again_for_its_size_goes_first() -> None:
    store = store_of(25)
    store.save(key(1), tape(10, elapsed_s=10.0))
    store.save(key(2), tape(10, elapsed_s=0.1))
    store.save(key(3), tape(10, elapsed_s=5.0))
    assert [store.find(key(number)) for number in (1, 2, 3)] == ["memory", None, "memory"]


def test_of_results_that_cost_the_same_the_longest_unused_goes_first() -> None:
    store = store_of(35)
    for number in (1, 2, 3):
        store.save(key(number), tape(10))
    store.save(key(4), tape(10))  # the first eviction makes room and ages the others
    survivors = [number for number in (1, 2, 3) if store.find(key(number))]
    store.load(key(survivors[0]))
    store.save(key(5), tape(10))
    assert store.find(key(survivors[0])) == "memory"
    assert store.find(key(survivors[1])) is None


def test_a_result_that_was_dear_once_does_not_stay_for_ever() -> None:
    store = store_of(25)
    store.save(key(0), tape(10, elapsed_s=5.0))
    for number in range(1, 200):
        store.save(key(number), tape(10, elapsed_s=1.0))
    assert store.find(key(0)) is None


def test_a_result_larger_than_the_budget_is_not_kept_and_evicts_nothing() -> None:
    store = store_of(20)
    store.save(key(1), tape(10))
    store.save(key(2), tape(30))
    assert store.find(key(1)) == "memory"
    assert store.find(key(2)) is None


def test_very_many_empty_results_stay_within_the_budget_too() -> None:
    store = store_of(64)
    for number in range(1_000):
        store.save(key(number), Result({}, 1.0))
    assert len(store) == 64 * KIB // ENTRY_BYTES


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12), st.floats(0, 10)), max_size=60), st.integers(1, 40))
def test_the_bytes_held_never_exceed_the_budget_and_are_counted_right(
    saves: list[tuple[int, int, float]], budget_kib: int
) -> None:
    store = store_of(budget_kib)
    for number, kib, elapsed_s in saves:
        store.save(key(number), tape(kib, elapsed_s))
        store.load(key(number // 2))
        assert store.used_bytes <= store.budget_bytes
    held = [store.load(key(number)) for number in range(31)]
    sizes = [result.outputs["tape"].samples.nbytes + ENTRY_BYTES for result in held if result is not None]
    assert store.used_bytes == sum(sizes)
    assert len(store) == len(sizes)


def test_many_threads_may_use_it_at_once() -> None:
    store, errors = store_of(64), list[BaseException]()

    def work(offset: int) -> None:
        try:
            for number in range(500):
                store.save(key((number * 7 + offset) % 97), tape(number % 5, elapsed_s=number % 3))
                store.load(key(number % 97))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert store.used_bytes <= store.budget_bytes
