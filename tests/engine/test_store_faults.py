"""What the world does to a disk store: killed processes, flipped bytes, truncated and deleted files.

Whatever happens, a read gives the exact result that was saved, or a miss that is reported.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sdgraph.engine.stores.base import Result
from sdgraph.engine.stores.disk import FORMAT_FOLDER, DiskStore
from sdgraph.engine.stores.memory import MemoryStore
from tests.engine.toys import Bench, Tape

ENTRIES = 12
PAYLOADS = Bench(MemoryStore).payloads


OBJECT_DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"more"),
    "empty": lambda path: path.write_bytes(b""),
    "deleted": lambda path: path.unlink(),
}
INDEX_DAMAGE: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_bytes(b"this is no database" * 100),
    "cut in the first page": lambda path: path.write_bytes(path.read_bytes()[:1000]),
    "cut after the first page": lambda path: path.write_bytes(path.read_bytes()[:4096]),
    "header that forbids to write": lambda path: path.write_bytes(
        path.read_bytes()[:18] + b"\x09" + path.read_bytes()[19:]
    ),
    "header": lambda path: path.write_bytes(path.read_bytes()[:16] + b"\xff" * 84 + path.read_bytes()[100:]),
}


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def result(number: int) -> Result:
    samples = np.random.default_rng(number).standard_normal(200, np.float32)
    return Result({"tape": Tape(samples), "number": number}, 1.0, "toy", 1)


def open_store(folder: Path) -> DiskStore:
    return DiskStore(folder, PAYLOADS)


def is_right(number: int, found: Result) -> bool:
    tape = found.outputs["tape"].samples
    return found.outputs["number"] == number and bool(np.array_equal(tape, result(number).outputs["tape"].samples))


def files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / FORMAT_FOLDER).rglob("*") if path.is_file())


def objects(folder: Path) -> list[Path]:
    return [path for path in files(folder) if path.suffix == ".safetensors"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with some results, closed."""
    fill(tmp_path / "store")
    return tmp_path / "store"


def fill(folder: Path) -> None:
    store = open_store(folder)
    for number in range(ENTRIES):
        store.save(key(number), result(number))
    store.close()


def misses_without_a_report(folder: Path) -> list[int]:
    """Read everything; asserts that no result is wrong, and that the store is whole again after checking it all."""
    store = open_store(folder)
    unreported: list[int] = []
    told = bool(store.take_problems())  # a damaged index has been reported for all its entries
    for number in range(ENTRIES):
        found = store.load(key(number))
        assert found is None or is_right(number, found)
        told_now = bool(store.take_problems())
        told = told or (told_now and store.info().entries == 0)
        if found is None and not told and not told_now:
            unreported.append(number)
    store.verify()
    for number in range(ENTRIES):
        store.save(key(number), result(number), keep=True)
        again = store.load(key(number))
        assert again is not None
        assert is_right(number, again)
    store.close()
    return unreported


def flip(path: Path, place: float, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[min(int(place * len(content)), len(content) - 1)] ^= 1 << bit
    path.write_bytes(content)


def test_any_flipped_bit_in_an_object_is_a_reported_miss_of_that_result_only(folder: Path) -> None:
    dice = random.Random(1)
    for damaged in objects(folder):
        flip(damaged, dice.random(), dice.randrange(8))
    store = open_store(folder)
    assert store.verify() == (0, ENTRIES)
    assert [problem.code for problem in store.take_problems()] == ["cache-entry-damaged"] * ENTRIES
    store.close()
    assert misses_without_a_report(folder) == list(range(ENTRIES))  # told once; removed since


@pytest.mark.parametrize("damage", OBJECT_DAMAGE)
def test_a_file_that_is_not_what_it_was_is_a_reported_miss(folder: Path, damage: str) -> None:
    OBJECT_DAMAGE[damage](objects(folder)[0])
    store = open_store(folder)
    assert store.verify() == (ENTRIES - 1, 1)
    assert [problem.code for problem in store.take_problems()] == ["cache-entry-damaged"]
    assert store.info().entries == ENTRIES - 1
    store.close()


def test_a_result_saved_onto_a_damaged_object_replaces_it(folder: Path) -> None:
    for damaged in objects(folder):
        flip(damaged, 0.5, 3)
    store = open_store(folder)
    for number in range(ENTRIES):  # not read before, so nobody has noticed
        store.save(key(100 + number), result(number))
    for number in range(ENTRIES):
        found = store.load(key(100 + number))
        assert found is not None
        assert is_right(number, found)
    store.close()


@settings(max_examples=40, deadline=None)
@given(place=st.floats(0, 1), bit=st.integers(0, 7), count=st.integers(1, 40), seed=st.integers(0, 999))
@example(place=1.0, bit=0, count=9, seed=573)  # a schema that is no text
@example(place=1.0, bit=0, count=6, seed=403)  # rows out of order
def test_flipped_bits_anywhere_in_the_index_give_no_wrong_result(
    tmp_path_factory: pytest.TempPathFactory, place: float, bit: int, count: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("flips")
    fill(folder)
    index = folder / FORMAT_FOLDER / "index.sqlite3"
    dice = random.Random(seed)
    flip(index, place, bit)
    for _ in range(count - 1):
        flip(index, dice.random(), dice.randrange(8))
    misses_without_a_report(folder)


@pytest.mark.parametrize("damage", INDEX_DAMAGE)
def test_a_destroyed_index_is_reported_set_aside_and_started_anew(folder: Path, damage: str) -> None:
    INDEX_DAMAGE[damage](folder / FORMAT_FOLDER / "index.sqlite3")
    assert misses_without_a_report(folder) == []
    assert (folder / FORMAT_FOLDER / "damaged-index.sqlite3").exists()


def test_a_manifest_that_was_changed_is_a_reported_miss(folder: Path) -> None:
    index = sqlite3.connect(folder / FORMAT_FOLDER / "index.sqlite3")
    index.execute("UPDATE entries SET manifest = replace(manifest, '\"number\"', '\"numbed\"') WHERE key = ?", [key(3)])
    index.execute("UPDATE entries SET manifest = 7 WHERE key = ?", [key(4)])
    index.commit()
    index.close()
    store = open_store(folder)
    assert [store.load(key(number)) is None for number in (3, 4, 5)] == [True, True, False]
    assert [problem.code for problem in store.take_problems()] == ["cache-entry-damaged"] * 2
    assert store.find(key(3)) is None
    store.close()


def test_checking_a_store_keeps_the_entries_of_a_damaged_index_that_are_right(folder: Path) -> None:
    index = folder / FORMAT_FOLDER / "index.sqlite3"
    content = index.read_bytes()
    index.write_bytes(content.replace(key(7), b"\xff" * 32))  # now rows are out of order: those after it can't be found
    store = open_store(folder)
    assert store.verify() == (ENTRIES - 1, 0)
    assert [problem.code for problem in store.take_problems()] == ["store-index-damaged"]
    assert [number for number in range(ENTRIES) if store.find(key(number)) is None] == [7]
    store.close()


def test_an_index_damaged_while_it_is_in_use_is_started_anew(folder: Path) -> None:
    store = open_store(folder)
    store._index._connection.execute("DROP TABLE entries")
    assert store.find(key(1)) is None
    assert [problem.code for problem in store.take_problems()] == ["store-index-damaged"]
    store.save(key(1), result(1))
    found = store.load(key(1))
    assert found is not None
    assert is_right(1, found)
    store.close()


def test_entries_moved_to_another_key_are_not_taken_for_its_result(folder: Path) -> None:
    index = sqlite3.connect(folder / FORMAT_FOLDER / "index.sqlite3")
    index.execute("DELETE FROM entries WHERE key = ?", [key(5)])
    index.execute("UPDATE entries SET key = ? WHERE key = ?", [key(5), key(6)])
    index.commit()
    index.close()
    store = open_store(folder)
    assert store.load(key(5)) is None
    assert [problem.code for problem in store.take_problems()] == ["cache-entry-damaged"]
    store.close()


NURSERY = """
import os, signal, sys
from pathlib import Path
from tests.engine.test_store_faults import write_for_ever
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        write_for_ever(Path(sys.argv[1]))
    print(child, flush=True)
"""


def write_for_ever(folder: Path) -> None:
    """Write, remove and write again until killed."""
    store = open_store(folder)
    results = [result(number) for number in range(ENTRIES)]
    while True:
        for number, one in enumerate(results):
            store.save(key(number), one)
            if number % 3 == 0:
                encoded = PAYLOADS.encode(one.outputs["tape"])
                assert encoded is not None
                digest = store._objects.write(encoded[1].blobs).digest
                store._discard(key(number), "so that it is written again", digest)


@pytest.fixture
def start_writer(tmp_path: Path) -> Iterator[Callable[[], int]]:
    """Starts processes that write to `tmp_path / "store"`; gives their ids."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", NURSERY, str(tmp_path / "store")]
    nursery = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert nursery.stdin
    assert nursery.stdout
    orders, answers = nursery.stdin, nursery.stdout

    def start() -> int:
        print("one more", file=orders, flush=True)
        return int(answers.readline())

    yield start
    orders.close()
    nursery.wait()
    answers.close()


def test_processes_killed_at_random_moments_a_hundred_times_leave_a_store_that_is_right(
    tmp_path: Path, start_writer: Callable[[], int]
) -> None:
    dice = random.Random(7)
    reader = open_store(tmp_path / "store")
    read = 0
    for turn in range(100):
        writers = [start_writer() for _ in range(2 if turn % 10 == 0 else 1)]
        while reader.info().entries == 0:  # until they have begun
            pass
        for _ in range(dice.randrange(1, 40)):  # as good as any other way to let a random time pass
            number = dice.randrange(ENTRIES)
            found = reader.load(key(number))
            assert found is None or is_right(number, found)
            read += found is not None
        for writer in writers:
            os.kill(writer, signal.SIGKILL)
        for number in range(ENTRIES):
            found = reader.load(key(number))
            assert found is None or is_right(number, found)
        reader.clear()
    assert read > 0
    assert reader.info().entries == 0
    reader.close()
    fill(tmp_path / "store")
    reader = open_store(tmp_path / "store")
    assert reader.verify() == (ENTRIES, 0)
    assert reader.take_problems() == []
    reader.close()
