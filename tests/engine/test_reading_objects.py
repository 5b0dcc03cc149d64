"""Objects are checked at every read: by a fast digest where one is remembered, by their name otherwise."""

import json
from pathlib import Path

import numpy as np
import pytest

from sdgraph.core.porttype import Blob
from sdgraph.engine.stores.disk import DiskStore
from sdgraph.engine.stores.objects import DamagedObject, ObjectFiles, Written
from tests.engine.disk import key, payloads, tape


def samples(count: int) -> Blob:
    return Blob("F32", (count,), np.random.default_rng(count).random(count, np.float32).tobytes())


def write(folder: Path, count: int) -> tuple[ObjectFiles, Written]:
    objects = ObjectFiles(folder)
    return objects, objects.write({"samples": samples(count)})


@pytest.mark.parametrize("count", [0, 3, 2**20 + 1])  # the last one is read into large pages
def test_what_was_written_is_read_and_can_not_be_changed(tmp_path: Path, count: int) -> None:
    objects, written = write(tmp_path, count)
    for check in (written.check, None):
        blob = objects.read(written.digest, check)["samples"]
        assert (blob.dtype, blob.shape, bytes(blob.data)) == ("F32", (count,), samples(count).data)
        assert memoryview(blob.data).readonly


@pytest.mark.parametrize("count", [3, 2**20 + 1])
@pytest.mark.parametrize("change", ["first", "last", "shorter", "longer"])
def test_every_change_is_found_by_both_digests(tmp_path: Path, count: int, change: str) -> None:
    objects, written = write(tmp_path, count)
    path = objects.path(written.digest)
    content = bytearray(path.read_bytes())
    if change in ("first", "last"):
        content[0 if change == "first" else -1] ^= 1
    path.write_bytes({"shorter": content[:-1], "longer": content + b"\0"}.get(change, content))
    for check in (written.check, None):
        with pytest.raises(DamagedObject):
            objects.read(written.digest, check)


def test_verify_compares_with_the_name_even_where_the_fast_digest_fits(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, payloads())
    store.save(key(1), tape(), keep=True)
    row = store._index.get(key(1))
    assert row is not None
    ((_, path),) = store._objects.all()
    other = store._objects.write({"samples": Blob("F32", (8,), bytes(32))})
    path.write_bytes(store._objects.path(other.digest).read_bytes())  # somebody forged the file and its fast digest
    start = row.manifest.index(b'"check": "') + len(b'"check": "')
    forged = row.manifest[:start] + other.check.encode() + row.manifest[start + len(other.check) :]
    store._index.put(key(1), forged, row.nbytes, row.cost_s)
    assert store.load(key(1)) is not None
    assert store.verify() == (0, 1)
    assert store.find(key(1)) is None
    store.close()


def test_a_manifest_of_before_the_fast_digest_is_checked_by_name(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, payloads())
    store.save(key(1), tape(), keep=True)
    row = store._index.get(key(1))
    assert row is not None
    older = json.loads(row.manifest)
    del older["outputs"]["tape"]["check"]
    store._index.put(key(1), json.dumps(older).encode(), row.nbytes, row.cost_s)
    assert store.load(key(1)) is not None
    ((_, path),) = store._objects.all()
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert store.load(key(1)) is None
    assert [problem.code for problem in store.take_problems()] == ["cache-entry-damaged"]
    store.close()
