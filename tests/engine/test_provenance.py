"""Stored results know who computed them, when, how long it took, and from what."""

import json
import time
from pathlib import Path

import pytest

from sdgraph import __version__
from sdgraph.engine.stores.disk import DiskStore
from sdgraph.engine.stores.owner import machine_id
from sdgraph.errors import StoreError
from tests.engine.disk import key, recordings, tape
from tests.engine.toys import Bench


def test_a_result_says_who_made_it_when_and_from_what(tmp_path: Path) -> None:
    bench = Bench(lambda payloads: DiskStore(tmp_path, payloads))
    plan = bench.plan(recordings())
    report = bench.run(plan)
    assert isinstance(bench.store, DiskStore)
    found = bench.store.show(plan.step_of["louder"].key)
    assert (found.node_type, found.node_version, dict(found.outputs)) == ("toy.louder", 1, {"tape": "Tape"})
    assert found.elapsed_s == pytest.approx(report.nodes["louder"].elapsed_s)
    assert found.made is not None
    assert found.made.maker.program == f"sdgraph {__version__}"
    assert (found.made.maker.device, found.made.maker.machine) == ("cpu", machine_id())
    assert found.made.finished_at == pytest.approx(time.time(), abs=60)
    assert found.made.sources == (("tape", plan.step_of["first"].key, "tape"),)
    loaded = bench.store.load(plan.step_of["louder"].key)
    assert loaded is not None
    assert loaded.made == found.made
    bench.store.close()


def test_a_result_of_an_earlier_version_has_no_provenance(store: DiskStore) -> None:
    store.save(key(1), tape())
    assert store.show(key(1)).made is None
    manifest = json.loads(store._index._fetch("SELECT manifest FROM entries")[0][0])
    assert "made" not in manifest


def test_a_key_may_be_shortened_as_long_as_it_is_the_only_one(store: DiskStore) -> None:
    one, other = bytes.fromhex("ab" * 32), bytes.fromhex("abac" + "00" * 30)
    for found in (one, other):
        store.save(found, tape())
    assert store.key_from("abab") == one
    assert store.key_from("ABAC0") == other
    with pytest.raises(StoreError, match="key-ambiguous"):
        store.key_from("aba")
    for wrong in ("77", "not a key", "ab" * 40):
        with pytest.raises(StoreError, match="result-missing"):
            store.key_from(wrong)
