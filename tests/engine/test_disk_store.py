"""The disk store: exact results back in any process, and nothing written that is cheaper to compute than to store."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from sdgraph.core.workflow import Workflow
from sdgraph.engine.stores.base import Payloads, Result
from sdgraph.engine.stores.disk import FORMAT_FOLDER, DiskStore
from sdgraph.engine.stores.memory import MemoryStore
from sdgraph.engine.stores.writecost import WriteCost
from sdgraph.errors import StoreError
from tests.engine.toys import Bench, Count, Louder, Record, Tape, Whisper, chain


def payloads() -> Payloads:
    return Bench(MemoryStore).payloads


def tape(level: float = 1.0, *, count: int = 8, elapsed_s: float = 1.0) -> Result:
    return Result({"tape": Tape(np.full(count, level, np.float32)), "name": "é", "level": level}, elapsed_s, "toy", 3)


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskStore]:
    opened = DiskStore(tmp_path / "store", payloads())
    yield opened
    opened.close()


def recordings() -> Workflow:
    """A tape, and a louder one."""
    workflow = Workflow("recordings")
    first = workflow.add("first", Record(name="first", level=0.1)).out.tape
    workflow.output("louder", workflow.add("louder", Louder(name="louder", tape=first, gain=3.0)).out.tape)
    workflow.output("first", first)
    return workflow


def test_a_result_comes_back_exactly(store: DiskStore) -> None:
    saved = tape(0.1)
    store.save(key(1), saved)
    assert store.find(key(1)) == "disk"
    loaded = store.load(key(1))
    assert loaded is not None
    np.testing.assert_array_equal(loaded.outputs["tape"].samples, saved.outputs["tape"].samples)
    assert {name: loaded.outputs[name] for name in ("name", "level")} == {"name": "é", "level": 0.1}
    assert (loaded.elapsed_s, loaded.node_type, loaded.node_version) == (1.0, "toy", 3)


def test_what_was_never_saved_is_a_miss_without_a_problem(store: DiskStore) -> None:
    assert store.find(key(1)) is None
    assert store.load(key(1)) is None
    assert store.take_problems() == []


def test_values_that_json_would_change_are_not_stored(store: DiskStore) -> None:
    for number, value in enumerate([(1, 2), {1: 2}, b"x", {1, 2}, np.float32(1)]):
        store.save(key(number), Result({"value": value}, 1.0))
        assert store.find(key(number)) is None
    assert store.take_problems() == []


@pytest.mark.parametrize("value", [0, -(2**63), 0.1, -0.0, float("inf"), "\ud800", None, True, [1, {"a": [None]}], {}])
def test_plain_values_come_back_with_their_type(store: DiskStore, value: Any) -> None:
    store.save(key(1), Result({"value": value}, 1.0))
    loaded = store.load(key(1))
    assert loaded is not None
    assert repr(loaded.outputs["value"]) == repr(value)


def test_equal_content_is_stored_once(store: DiskStore) -> None:
    for number in range(5):
        store.save(key(number), tape())
    info = store.info()
    assert (info.entries, info.objects) == (5, 1)


def test_objects_are_safetensors_files_that_the_library_reads(store: DiskStore) -> None:
    store.save(key(1), tape(0.5))
    (path,) = (store.folder / FORMAT_FOLDER / "objects").glob("??/*.safetensors")
    np.testing.assert_array_equal(load_file(path)["samples"], np.full(8, 0.5, np.float32))


def test_files_have_the_permissions_that_the_user_chose(store: DiskStore) -> None:
    store.save(key(1), tape())
    (path,) = (store.folder / FORMAT_FOLDER / "objects").glob("??/*.safetensors")
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_another_process_and_another_workflow_hit_what_this_one_stored(tmp_path: Path) -> None:
    script = f"""
import json
from pathlib import Path
from sdgraph.engine.stores.disk import DiskStore
from tests.engine.test_disk_store import recordings
from tests.engine.toys import Bench
bench = Bench(lambda payloads: DiskStore(Path({str(tmp_path)!r}), payloads))
report = bench.run(recordings())
print(json.dumps([sorted(bench.log.runs), report.outputs["louder"].samples.tolist()]))
"""
    command = [sys.executable, "-c", script]
    (ran, samples), (ran_again, samples_again) = (
        json.loads(subprocess.run(command, capture_output=True, check=True, env=environment(seed)).stdout)
        for seed in ("1", "2")
    )
    assert ran == ["first", "louder"]
    assert ran_again == []
    assert samples_again == samples
    bench = Bench(lambda payloads: DiskStore(tmp_path, payloads))
    other = Workflow("another")
    tape = other.add("tape", Record(name="tape", level=0.1)).out.tape
    other.output("quiet", other.add("quiet", Louder(name="quiet", tape=tape, gain=0.5)).out.tape)
    assert bench.run(other).status == "done"
    assert bench.log.runs == {"quiet": 1}
    bench.store.close()


def environment(hash_seed: str) -> dict[str, str]:
    return {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_two_executors_in_many_threads_share_one_folder(tmp_path: Path) -> None:
    reports: list[Any] = []

    def work() -> None:
        bench = Bench(lambda payloads: DiskStore(tmp_path / "store", payloads))
        reports.extend(bench.run(recordings()) for _ in range(3))
        bench.store.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reports) == 12
    assert {report.status for report in reports} == {"done"}
    assert [problem for report in reports for problem in report.problems] == []
    for report in reports:
        np.testing.assert_array_equal(report.outputs["louder"].samples, np.full(4, 0.1, np.float32) * np.float32(3))


def test_processes_that_open_a_new_store_at_once_all_get_it(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from sdgraph.engine.stores.base import Payloads, Result
from sdgraph.engine.stores.disk import DiskStore
import sys
sys.stdin.read(1)
store = DiskStore(Path({str(tmp_path / "store")!r}), Payloads({{}}))
for number in range(50):
    store.save(number.to_bytes(32, "big"), Result({{"value": number}}, 1.0))
assert not store.take_problems()
"""
    children = [
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for child in children:
        assert child.stdin
        child.stdin.close()  # go
    errors = [child.stderr.read() for child in children if child.stderr]
    assert [child.wait() for child in children] == [0] * 4, errors
    for child in children:
        assert child.stderr
        child.stderr.close()
    opened = DiskStore(tmp_path / "store", payloads())
    assert opened.info().entries == 50
    assert opened.verify() == (50, 0)
    opened.close()


# What is worth writing.


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


# Upkeep.


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


# Places where it can't be, or can't write.


def test_a_file_in_the_way_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"--cache DIR.*store-unusable"):
        DiskStore(tmp_path / "file", payloads())


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder with one stored result in which this process may not write (as root: while it acts as somebody else)."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "store"
        filled = DiskStore(folder, payloads())
        filled.save(key(1), tape(0.25))
        filled.close()
        root = os.geteuid() == 0
        paths = [Path(parent), folder, *folder.rglob("*")]
        for path in paths:
            path.chmod(0o555 if path.is_dir() else 0o444)
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            for path in paths:
                path.chmod(0o755)


def test_a_read_only_store_is_read_and_says_that_it_stores_nothing(read_only_folder: Path) -> None:
    opened = DiskStore(read_only_folder, payloads())
    loaded = opened.load(key(1))
    assert loaded is not None
    assert loaded.outputs["level"] == 0.25
    opened.save(key(2), tape())
    assert opened.find(key(2)) is None
    assert [problem.code for problem in opened.take_problems()] == ["store-read-only"]
    opened.close()


def test_a_new_store_in_a_read_only_folder_is_an_error(read_only_folder: Path) -> None:
    with pytest.raises(StoreError, match="store-unusable"):
        DiskStore(read_only_folder / "inner", payloads())


def test_a_full_disk_costs_the_storing_and_nothing_else(tmp_path: Path) -> None:
    bench = Bench(lambda payloads: DiskStore(tmp_path, payloads))
    assert isinstance(bench.store, DiskStore)
    bench.store._index._connection.execute("PRAGMA max_page_count = 1")  # SQLite's own way to run out of room
    workflow = Workflow("many")
    for place in range(30):
        workflow.output(f"o{place}", workflow.add(f"n{place}", Count(start=place)).out.value)
    report = bench.run(workflow)
    assert report.status == "done"
    assert not report.errors
    assert [problem.code for problem in report.problems] == ["store-disk-full"]
    bench.store.close()


def test_an_object_that_can_not_be_written_leaves_no_entry_and_no_file(tmp_path: Path) -> None:
    opened = DiskStore(tmp_path, payloads())
    (tmp_path / FORMAT_FOLDER / "objects").write_text("in the way")
    opened.save(key(1), tape())
    assert opened.find(key(1)) is None
    (problem,) = opened.take_problems()
    assert problem.code == "store-unwritable"
    assert problem.severity == "warning"
    opened.close()


def test_an_index_that_another_process_keeps_locked_costs_one_result_and_not_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sdgraph.engine.stores.index._WAIT_S", 0.01)
    opened = DiskStore(tmp_path, payloads())
    other = sqlite3.connect(tmp_path / FORMAT_FOLDER / "index.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    opened.save(key(1), tape())
    other.execute("ROLLBACK")
    other.close()
    opened.save(key(2), tape())
    assert [opened.find(key(1)), opened.find(key(2))] == [None, "disk"]
    assert [problem.code for problem in opened.take_problems()] == ["store-busy"]
    opened.close()


def test_a_result_without_a_codec_stays_in_memory_without_a_problem(tmp_path: Path) -> None:
    bench = Bench(lambda payloads: DiskStore(tmp_path, payloads))
    workflow = Workflow("secret")
    workflow.output("out", workflow.add("whisper", Whisper(name="whisper")).out.value)
    for _ in range(2):
        assert bench.run(workflow).problems == ()
    assert bench.log.runs["whisper"] == 2
    bench.store.close()
