"""One folder for many: other processes, other workflows, threads, and all at once."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdgraph.core.workflow import Workflow
from sdgraph.engine.stores.base import Result
from sdgraph.engine.stores.disk import DiskStore
from tests.engine.disk import key, payloads, recordings, tape
from tests.engine.toys import Bench, Louder, Record


def test_another_process_and_another_workflow_hit_what_this_one_stored(tmp_path: Path) -> None:
    script = f"""
import json
from pathlib import Path
from sdgraph.engine.stores.disk import DiskStore
from tests.engine.disk import recordings
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


def test_a_file_that_is_cleaned_up_while_a_result_is_saved_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = (DiskStore(tmp_path / "store", payloads()) for _ in range(2))
    store.save(key(1), tape())
    encode, cleaned = store._encode, list[int]()

    def clean_up_in_between(result: Result) -> Any:
        found = encode(result)
        if not cleaned:
            cleaned.append(other.gc(budget_bytes=0)[0])
        return found

    monkeypatch.setattr(store, "_encode", clean_up_in_between)
    store.save(key(2), tape())  # the same content: its file is there, and goes before its row is
    assert cleaned == [1]
    assert other.load(key(2)) is not None
    assert [*store.take_problems(), *other.take_problems()] == []
    store.close()
    other.close()


def test_what_another_process_cleans_up_while_it_is_read_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = (DiskStore(tmp_path / "store", payloads()) for _ in range(2))
    store.save(key(1), tape())
    read = store._objects.read

    def clean_up_in_between(digest: str, check: str | None = None) -> Any:
        other.gc(budget_bytes=0)
        return read(digest, check)

    monkeypatch.setattr(store._objects, "read", clean_up_in_between)
    assert store.load(key(1)) is None
    assert store.take_problems() == []
    store.close()
    other.close()


def test_a_store_whose_files_are_removed_again_and_again_loses_that_result_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written_and_removed(path: Path, content: list[bytes]) -> None:
        """As if others had been faster every time."""

    store = DiskStore(tmp_path / "store", payloads())
    with monkeypatch.context() as others:
        others.setattr(store._objects, "_write", written_and_removed)
        store.save(key(1), tape())
    assert [problem.code for problem in store.take_problems()] == ["store-busy"]
    store.save(key(2), tape())
    assert [store.find(key(number)) for number in (1, 2)] == [None, "disk"]
    store.close()
