"""Nothing is written that is cheaper to compute than to store."""

from pathlib import Path

import pytest

from sdgraph.engine.stores.disk import DiskStore
from sdgraph.engine.stores.writecost import WriteCost
from tests.engine.disk import key, payloads, tape
from tests.engine.toys import Bench, chain


class Clock:
    """A clock that a test moves: each look at it takes `tick_s`."""

    def __init__(self, tick_s: float) -> None:
        self.now_s = 0.0
        self.tick_s = tick_s

    def __call__(self) -> float:
        self.now_s += self.tick_s
        return self.now_s


def test_a_result_that_is_cheaper_to_compute_than_to_store_is_not_written(store: DiskStore) -> None:
    store.save(key(1), tape(elapsed_s=1e-6))
    assert store.find(key(1)) is None
    store.save(key(2), tape(elapsed_s=1e-2))
    assert store.find(key(2)) == "disk"


def test_a_result_that_was_asked_for_is_written_however_cheap(store: DiskStore) -> None:
    store.save(key(1), tape(elapsed_s=0.0), keep=True)
    assert store.find(key(1)) == "disk"


def test_measured_cost_decides_what_is_worth_writing(tmp_path: Path) -> None:
    def stores_10_ms(write_s: float) -> bool:
        store = DiskStore(tmp_path / str(write_s), payloads(), clock=Clock(write_s))
        for number in range(100):
            store.save(key(number), tape(number, elapsed_s=100.0))
        store.save(key(1_000), tape(elapsed_s=1e-2))
        found = store.find(key(1_000)) is not None
        store.close()
        return found

    assert stores_10_ms(write_s=1e-4)
    assert not stores_10_ms(write_s=1e-1)


def test_the_cost_of_writing_is_learnt_as_a_fixed_part_and_a_rate() -> None:
    cost = WriteCost()
    for number in range(400):
        nbytes = 1_000 if number % 2 else 10_000_000
        cost.learn(nbytes, 2e-3 + nbytes * 1e-8)
    assert cost.predict_s(1_000) == pytest.approx(2e-3, rel=0.05)
    assert cost.predict_s(10_000_000) == pytest.approx(0.102, rel=0.05)


def test_one_slow_write_does_not_stop_the_writing() -> None:
    cost = WriteCost()
    before_s = cost.predict_s(1_000)
    cost.learn(1_000, 60.0)
    assert cost.predict_s(1_000) < 1.2 * before_s


def test_in_a_run_only_dear_results_and_those_asked_for_reach_the_disk(tmp_path: Path) -> None:
    bench = Bench(lambda payloads: DiskStore(tmp_path, payloads))
    bench.run(chain(20))
    assert isinstance(bench.store, DiskStore)
    plan = bench.plan(chain(20))
    assert plan.step_of["n19"].tier == "disk"
    assert plan.step_of["n5"].tier is None
    assert {node.status for node in bench.run(plan).nodes.values()} == {"hit"}
    bench.store.close()
