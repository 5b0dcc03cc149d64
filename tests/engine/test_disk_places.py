"""Places where a disk store can't be, or can't write: read-only, full, locked, in the way."""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sdgraph.core.workflow import Workflow
from sdgraph.engine.stores.disk import FORMAT_FOLDER, DiskStore
from sdgraph.engine.stores.sqlite import connect
from sdgraph.errors import StoreError
from tests.engine.disk import key, payloads, tape
from tests.engine.toys import Bench, Count


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
    monkeypatch.setattr("sdgraph.engine.stores.sqlite.WAIT_S", 0.01)
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


class FullDisk:
    """A disk without room for anything, until files of a store are removed. `benchmarks.crashes` fills a real one."""

    def __init__(self, folder: Path) -> None:
        self.objects = folder / FORMAT_FOLDER / "objects"
        self.held = self._count()

    def _count(self) -> int:
        return len(list(self.objects.glob("??/*")))

    def usage(self, folder: object) -> SimpleNamespace:
        return SimpleNamespace(free=0 if self._count() >= self.held else 2**30)

    def connect(self, uri: str, prepare: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
        if "immutable" not in uri and self.usage(uri).free == 0:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
            raise error
        return connect(uri, prepare)


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with ten results on a disk that is full."""
    filled = DiskStore(tmp_path, payloads())
    for number in range(10):
        filled.save(key(number), tape(number, count=1_000, elapsed_s=1.0 + number))
    filled.close()
    disk = FullDisk(tmp_path)
    monkeypatch.setattr("sdgraph.engine.stores.index.connect", disk.connect)
    monkeypatch.setattr("shutil.disk_usage", disk.usage)
    return tmp_path


def test_a_store_on_a_disk_without_any_room_is_read_and_says_so(full: Path) -> None:
    opened = DiskStore(full, payloads())
    assert opened.load(key(3)) is not None
    opened.save(key(20), tape(20.0))
    assert opened.find(key(20)) is None
    assert [problem.code for problem in opened.take_problems()] == ["store-disk-full"]
    opened.close()


def test_a_disk_without_any_room_can_be_cleaned_up(full: Path) -> None:
    opened = DiskStore(full, payloads())
    opened.take_problems()
    removed, freed = opened.gc(budget_bytes=30_000)
    assert removed == 3
    assert freed == pytest.approx(12_000, rel=0.1)
    assert [number for number in range(10) if opened.load(key(number))] == list(range(3, 10))
    assert opened.verify() == (7, 0)
    opened.save(key(20), tape(20.0))
    assert opened.take_problems() == []
    assert opened.clear() == 8
    opened.close()


def test_a_disk_without_any_room_can_be_cleared(full: Path) -> None:
    opened = DiskStore(full, payloads())
    assert opened.clear() == 10
    assert opened.info().entries == 0
    opened.close()
