"""A disk store against a model of it, whatever two processes and the world do to it, in whatever order.

The law: what is read is exactly what was saved, or a miss; and what was saved stays, unless it is damaged, cleared, or
cleaned up while nobody has pinned it and no run that goes on uses it.
"""

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, precondition, rule

from sdgraph.engine.stores.base import Release, Result
from sdgraph.engine.stores.disk import FORMAT_FOLDER, DiskStore
from sdgraph.engine.stores.index import Index
from sdgraph.engine.stores.leases import Leases
from sdgraph.engine.stores.owner import Owner
from tests.engine.disk import key, payloads, tape
from tests.engine.runs import WAIT_S

PAYLOADS = payloads()
NUMBERS = st.integers(0, 7)
PLACES = st.integers(0, 1)
RARELY = st.sampled_from([False, False, False, True])
DAMAGE_CODES = {"cache-entry-damaged", "store-index-damaged"}


class PowerFailure(BaseException):
    """Nothing after it happens."""


def made(number: int) -> Result:
    """Two numbers each have the same content, so that they share an object."""
    return tape(float(number // 2), elapsed_s=1.0 + number)


def is_right(number: int, found: Result) -> bool:
    return found.outputs["level"] == number // 2 and bool(
        (found.outputs["tape"].samples == np.full(8, number // 2, np.float32)).all()
    )


@contextmanager
def failing(step: int, error: BaseException) -> Generator[None]:
    """Let a write fail before one of its steps."""
    left = [step]

    def until(original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise error
            return original(*arguments, **options)

        return run

    with (
        mock.patch.object(os, "fsync", until(os.fsync)),
        mock.patch.object(os, "replace", until(os.replace)),
        mock.patch.object(Index, "put", until(Index.put)),
    ):
        yield


class StoreMachine(RuleBasedStateMachine):
    """Two openers of one folder, as two machines are; each has its runs and its claims."""

    runs: Bundle[tuple[int, int]] = Bundle("runs")
    claims: Bundle[tuple[int, int]] = Bundle("claims")

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sdgraph-machine-"))
        self.count = 0
        self.certain: set[int] = set()
        """What is there for certain."""
        self.pinned: set[int] = set()
        self.used: dict[tuple[int, int], set[int]] = {}
        """What runs that go on have read or written, by opener and number of the run."""
        self.releases: dict[tuple[int, int], Release] = {}
        self.claimed: dict[int, tuple[int, Release]] = {}
        self.damaged = False
        """Whether problems may be reported."""
        self.stores = [self.opened(place) for place in (0, 1)]

    def opened(self, place: int) -> DiskStore:
        self.count += 1
        (self.folder / FORMAT_FOLDER).mkdir(exist_ok=True)
        owner = Owner(f"machine {place}", 1, str(self.count))
        return DiskStore(
            self.folder, PAYLOADS, leases=Leases(self.folder / FORMAT_FOLDER / "leases.sqlite3", owner=owner)
        )

    def teardown(self) -> None:
        if not hasattr(self, "stores"):
            return
        for place in (0, 1):
            self.reopen(place)
        self.load(0)
        bad = self.stores[0].verify()[1]
        assert self.damaged or bad == 0
        for store in self.stores:
            store.close()
        shutil.rmtree(self.folder)

    def look(self, place: int, number: int) -> None:
        found = self.stores[place].load(key(number))
        assert found is not None or number not in self.certain
        assert found is None or is_right(number, found)
        self.nothing_told_but(place)

    def nothing_told_but(self, place: int, *codes: str) -> None:
        told = {problem.code for problem in self.stores[place].take_problems()}
        assert told <= {*codes, *(DAMAGE_CODES if self.damaged else ())}

    def removed(self, kept: set[int]) -> None:
        """Something was cleaned up: what is kept is there, and whatever else the index still has can be read."""
        assert all(self.stores[0].find(key(number)) for number in self.certain & kept)
        self.certain = {number for number in self.certain if self.stores[1].find(key(number))}

    # What runs do.

    @rule(place=PLACES, numbers=st.lists(NUMBERS, min_size=1))
    def save(self, place: int, numbers: list[int]) -> None:
        for number in numbers:
            self.stores[place].save(key(number), made(number))
        self.certain.update(numbers)
        for used in self.used.values():  # what is written while a run goes on stays as long
            used.update(numbers)

    @rule(place=PLACES)
    def load(self, place: int) -> None:
        for number in range(8):
            self.look(place, number)

    @rule(target=runs, place=PLACES, numbers=st.frozensets(NUMBERS))
    def begin_run(self, place: int, numbers: frozenset[int]) -> tuple[int, int]:
        self.count += 1
        run = (place, self.count)
        self.releases[run] = self.stores[place].guard([key(number) for number in numbers])
        self.used[run] = self.certain & numbers
        return run

    @rule(run=consumes(runs))
    def end_run(self, run: tuple[int, int]) -> None:
        if run in self.used:
            del self.used[run]
            self.releases.pop(run)()

    @rule(place=PLACES, number=NUMBERS)
    def claim(self, place: int, number: int) -> None:
        release = self.stores[place].claim(key(number), 1.0)
        assert (release is None) == (number in self.claimed)
        if release is not None:
            self.claimed[number] = (place, release)
        assert self.stores[1 - place].is_claimed(key(number))

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.claimed)))
        self.claimed.pop(number)[1]()
        assert not self.stores[0].is_claimed(key(number))

    # What people do.

    @rule(place=PLACES, budget_bytes=st.sampled_from([0, 300, 600, 1200]))
    def gc(self, place: int, budget_bytes: int) -> None:
        self.stores[place].gc(budget_bytes)
        self.removed(self.pinned.union(*self.used.values()))

    @rule(place=PLACES, number=NUMBERS)
    def pin(self, place: int, number: int) -> None:
        if number in self.certain:
            self.stores[place].pin(key(number))
            self.pinned.add(number)

    @rule(place=PLACES, number=NUMBERS)
    def unpin(self, place: int, number: int) -> None:
        assert self.stores[place].unpin(key(number)) == (number in self.pinned)
        self.pinned.discard(number)

    @rule(place=PLACES, sure=RARELY)
    def clear(self, place: int, sure: bool) -> None:
        if sure:
            self.stores[place].clear()
            self.removed(self.pinned)

    @rule(place=PLACES)
    def verify(self, place: int) -> None:
        bad = self.stores[place].verify()[1]
        assert self.damaged or bad == 0
        self.stores[place].take_problems()

    @rule(place=PLACES)
    def reopen(self, place: int) -> None:
        """The process ends; what it claimed is free, and its runs protect nothing any longer."""
        self.stores[place].close()
        for run in [run for run in self.used if run[0] == place]:
            del self.used[run], self.releases[run]
        self.claimed = {number: held for number, held in self.claimed.items() if held[0] != place}
        self.stores[place] = self.opened(place)

    @rule(numbers=st.lists(NUMBERS, min_size=1, max_size=6))
    def clean_up_while_another_reads_and_writes(self, numbers: list[int]) -> None:
        failed: list[BaseException] = []

        def work() -> None:
            try:
                for number in numbers:
                    found = self.stores[1].load(key(number))
                    assert found is None or is_right(number, found)
                    self.stores[1].save(key(number), made(number))
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        self.stores[0].gc(0)
        thread.join(WAIT_S)
        assert not failed
        for place in (0, 1):
            self.nothing_told_but(place)
        self.removed(self.pinned.union(*self.used.values()))
        for used in self.used.values():
            used.update(numbers)
        if self.used:  # a run goes on, so that nothing was removed that was written since it began
            self.certain.update(numbers)

    # What the world does.

    @rule(place=PLACES, number=NUMBERS, step=st.integers(0, 3))
    def die_while_saving(self, place: int, number: int, step: int) -> None:
        try:
            with failing(step, PowerFailure()):
                self.stores[place].save(key(number), made(number))
        except PowerFailure:
            pass
        else:
            self.certain.add(number)
        self.reopen(place)

    @rule(place=PLACES, number=NUMBERS, step=st.integers(0, 3))
    def run_out_of_room(self, place: int, number: int, step: int) -> None:
        with failing(step, OSError(errno.ENOSPC, "no space")):
            self.stores[place].save(key(number), made(number))
        self.nothing_told_but(place, "store-disk-full")
        self.reopen(place)

    @rule(number=NUMBERS, bit=st.integers(0, 7), where=st.floats(0, 1), gone=st.booleans(), sure=RARELY)
    def damage_an_object(self, number: int, bit: int, where: float, gone: bool, sure: bool) -> None:
        row = self.stores[0].raw(key(number)) if sure else None
        for path in row[1].values() if row is not None else ():
            self.damaged = True
            self.certain -= {number, number ^ 1}
            if gone or not path.exists():
                path.unlink(missing_ok=True)
                continue
            content = bytearray(path.read_bytes())
            content[min(int(where * len(content)), len(content) - 1)] ^= 1 << bit
            path.write_bytes(content)

    @rule(length=st.integers(0, 5000), sure=RARELY)
    def damage_the_index(self, length: int, sure: bool) -> None:
        if not sure:
            return
        for store in self.stores:
            store.close()
        index = self.folder / FORMAT_FOLDER / "index.sqlite3"
        index.write_bytes(index.read_bytes()[:length])
        self.damaged = True
        self.certain.clear()
        for place in (0, 1):
            self.reopen(place)
            self.stores[place].take_problems()


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=int(os.environ.get("STORE_MACHINE_EXAMPLES", "20")), stateful_step_count=30, deadline=None
)
