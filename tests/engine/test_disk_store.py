"""The disk store: exact results back in any process."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from sdgraph.core.workflow import Workflow
from sdgraph.engine.stores.base import Result
from sdgraph.engine.stores.disk import FORMAT_FOLDER, DiskStore
from tests.engine.disk import key, tape
from tests.engine.toys import Bench, Tape, Whisper


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


def test_a_result_without_a_codec_stays_in_memory_without_a_problem(tmp_path: Path) -> None:
    bench = Bench(lambda payloads: DiskStore(tmp_path, payloads))
    workflow = Workflow("secret")
    workflow.output("out", workflow.add("whisper", Whisper(name="whisper")).out.value)
    for _ in range(2):
        assert bench.run(workflow).problems == ()
    assert bench.log.runs["whisper"] == 2
    bench.store.close()


@pytest.mark.parametrize("nbytes", [2**23 - 200, 2**23, 2**23 + 2**22 + 12])
def test_large_objects_come_back_exactly_and_damage_in_them_is_seen(store: DiskStore, nbytes: int) -> None:
    samples = np.random.default_rng(nbytes).random(nbytes // 4, np.float32)
    store.save(key(1), Result({"tape": Tape(samples)}, 1.0), keep=True)
    loaded = store.load(key(1))
    assert loaded is not None
    np.testing.assert_array_equal(loaded.outputs["tape"].samples, samples)
    (path,) = (store.folder / FORMAT_FOLDER / "objects").glob("??/*.safetensors")
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    assert store.load(key(1)) is None
    assert [problem.code for problem in store.take_problems()] == ["cache-entry-damaged"]
