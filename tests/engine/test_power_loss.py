"""Power that fails at any moment: at most the work in flight is lost, and nothing is ever wrong."""

import itertools
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from sdgraph.engine.stores.base import Result
from sdgraph.engine.stores.disk import FORMAT_FOLDER, DiskStore
from tests.engine.disk import key, payloads, tape
from tests.engine.power import KINDS, Moment, Power, after_power_failed

PAYLOADS = payloads()
WAYS = list(itertools.product((False, True), KINDS))
"""Whether names that were not synchronised are there, and what has become of such content."""


def is_right(found: Result, number: int) -> bool:
    return bool((found.outputs["tape"].samples == np.full(8, number, np.float32)).all())


@pytest.fixture
def power(tmp_path: Path) -> Power:
    (tmp_path / "disk").mkdir()
    return Power(tmp_path / "disk")


def stores_after(power: Power, moment: Moment, folder: Path) -> Generator[DiskStore]:
    """What the next process opens, for every way in which the disk can be left."""
    root = power.root.stat().st_ino
    for number, (names_there, kind) in enumerate(WAYS):
        target = folder / f"{number}"
        after_power_failed(moment, root, target, names_there=names_there, kind=kind)
        with closing(DiskStore(target / "store", PAYLOADS)) as opened:
            yield opened


def look(power: Power, moment: Moment, folder: Path, safe: set[int], *, count: int) -> set[int]:
    """Read everything after power failed; gives what was found in every case."""
    folder.mkdir()
    found: list[set[int]] = []
    with closing(stores_after(power, moment, folder)) as stores:
        found.extend(look_into(store, moment, safe, count) for store in stores)
    return set.intersection(*found)


def look_into(store: DiskStore, moment: Moment, safe: set[int], count: int) -> set[int]:
    loaded = {number: store.load(key(number)) for number in range(count)}
    present = {number: one for number, one in loaded.items() if one is not None}
    assert all(is_right(one, number) for number, one in present.items()), moment.doing
    assert store.take_problems() == [], moment.doing
    assert safe <= present.keys(), moment.doing
    assert store.verify()[1] == 0
    store.save(key(0), tape(0.0), keep=True)
    again = store.load(key(0))
    assert again is not None
    assert is_right(again, 0)
    return set(present)


def test_what_took_long_to_compute_survives_from_when_it_is_saved(
    power: Power, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safe_from: list[int] = []
    with power.recording(monkeypatch):
        store = DiskStore(power.root / "store", PAYLOADS)
        for number in range(2):
            store.save(key(number), tape(number, elapsed_s=0.2))
            power.note("saved")
            safe_from.append(len(power.moments) - 1)
        store.save(key(2), tape(1.0, elapsed_s=0.2))  # content that is there already
        power.note("saved")
    assert len(power.moments) > 20
    for place, moment in enumerate(power.moments):
        safe = {number for number, began in enumerate(safe_from) if place >= began}
        look(power, moment, tmp_path / f"at{place}", safe, count=2)
    store.close()


def test_what_was_quick_to_compute_survives_from_the_end_of_its_run(
    power: Power, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with power.recording(monkeypatch):
        now = [0.0]
        store = DiskStore(power.root / "store", PAYLOADS, clock=lambda: now[0])
        for number in range(3):
            store.save(key(number), tape(number, elapsed_s=0.01), keep=True)
        power.note("saved")
        store.flush()
        power.note("run ended")
        store.save(key(3), tape(3, elapsed_s=0.01), keep=True)
        now[0] += 1.0
        store.save(key(4), tape(4, elapsed_s=0.01), keep=True)
        power.note("a second later")
    named = {moment.doing: moment for moment in power.moments}
    assert look(power, named["saved"], tmp_path / "a", set(), count=5) == set()
    assert look(power, named["run ended"], tmp_path / "b", {0, 1, 2}, count=5) == {0, 1, 2}
    assert look(power, named["a second later"], tmp_path / "c", {0, 1, 2, 3, 4}, count=5) == {0, 1, 2, 3, 4}
    store.close()


def test_cleaning_up_leaves_no_entry_without_its_file(
    power: Power, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with power.recording(monkeypatch):
        store = DiskStore(power.root / "store", PAYLOADS)
        for number in range(2):
            store.save(key(number), tape(number, elapsed_s=0.2 + number))
        store.pin(key(0))
        first = len(power.moments)
        store.gc(budget_bytes=0)
        power.note("cleaned")
    for place, moment in enumerate(power.moments[first:]):
        root = power.root.stat().st_ino
        for number, (names_there, kind) in enumerate(WAYS):
            target = tmp_path / f"at{place}.{number}"
            after_power_failed(moment, root, target, names_there=names_there, kind=kind)
            opened = DiskStore(target / "store", PAYLOADS)
            loaded = opened.load(key(0))  # pinned
            assert loaded is not None
            assert is_right(loaded, 0)
            assert key(0) in opened._pins.all()
            opened.verify()
            assert all(problem.code == "cache-entry-damaged" for problem in opened.take_problems())
            opened.close()
    store.close()


def test_the_model_of_the_disk_finds_a_store_that_does_not_synchronise(
    power: Power, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(folder: Path) -> None:
        """What a program does that takes a rename for the end of it."""

    monkeypatch.setattr("sdgraph.engine.stores.objects.sync_folder", forget)
    with power.recording(monkeypatch):
        store = DiskStore(power.root / "store", PAYLOADS)
        store.save(key(1), tape(1, elapsed_s=0.2))
        power.note("saved")
    store.close()
    with pytest.raises(AssertionError, match="saved"):
        look(power, power.moments[-1], tmp_path / "after", {1}, count=3)


def test_the_store_lies_in_its_folder_of_this_format(power: Power) -> None:
    DiskStore(power.root / "store", PAYLOADS).close()
    assert (power.root / "store" / FORMAT_FOLDER / "index.sqlite3").exists()
