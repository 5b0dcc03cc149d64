"""Checkpoints of long nodes: whole or not there, never results, and gone when nobody needs them."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from sdgraph.engine.stores.checkpoints import KEEP_S, Checkpoints
from sdgraph.engine.stores.disk import FORMAT_FOLDER, DiskStore
from tests.engine.disk import key, payloads, tape
from tests.engine.toys import Secret, Tape


def samples(level: float) -> Tape:
    return Tape(np.full(8, level, np.float32))


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints", payloads())


def test_what_was_saved_last_comes_back(kept: Checkpoints) -> None:
    assert kept.load(key(1)) is None
    for value in (samples(0.1), samples(0.2)):
        kept.save(key(1), value)
    kept.save(key(2), {"step": 3})
    found = kept.load(key(1))
    assert isinstance(found, Tape)
    assert found.samples.tobytes() == samples(0.2).samples.tobytes()
    assert kept.load(key(2)) == {"step": 3}
    assert kept.totals()[0] == 2
    kept.drop(key(1))
    kept.drop(key(1))
    assert kept.load(key(1)) is None


def test_every_damage_is_as_good_as_nothing(kept: Checkpoints, tmp_path: Path) -> None:
    kept.save(key(1), samples(0.1))
    path = tmp_path / "checkpoints" / key(1).hex()
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert kept.load(key(1)) is None
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert kept.load(key(1)) is None


def test_what_can_not_be_stored_is_refused(kept: Checkpoints) -> None:
    with pytest.raises(TypeError, match="Secret"):
        kept.save(key(1), Secret("word"))


def test_a_checkpoint_is_no_result_and_goes_with_gc_when_it_is_old_or_done(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, payloads())
    for number in (1, 2, 3):
        store.checkpoints.save(key(number), samples(number))
    store.save(key(1), tape())
    assert store.find(key(2)) is None
    assert (store.info().entries, store.info().checkpoints) == (1, 3)
    assert store.verify() == (1, 0)
    old = time.time() - KEEP_S - 1
    os.utime(tmp_path / FORMAT_FOLDER / "checkpoints" / key(3).hex(), (old, old))
    store.gc(10**9)
    assert [store.checkpoints.load(key(number)) is None for number in (1, 2, 3)] == [True, False, True]
    store.clear()
    assert store.info().checkpoints == 0
    store.close()
