"""Leases: one owner for a key, until it is given back, runs out, or its owner is dead."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sdgraph.engine.stores.leases import LEASE_S, Leases
from sdgraph.engine.stores.owner import Owner, machine_id, this_process
from tests.engine.disk import key


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_leases(tmp_path: Path, clock: Clock) -> Callable[..., Leases]:
    """The leases of one folder, for one more owner."""
    return partial(Leases, tmp_path / "leases.sqlite3", clock=clock)


def elsewhere() -> Owner:
    return Owner("another machine", 1, "someone")


def test_a_key_has_one_owner_until_it_is_given_back(open_leases: Callable[..., Leases]) -> None:
    one, other = open_leases(), open_leases()
    assert one.take(key(1))
    assert not other.take(key(1))
    assert not one.take(key(1))  # two threads of one process are two as well
    assert other.is_taken(key(1))
    assert other.take(key(2))
    one.give_back(key(1))
    assert not other.is_taken(key(1))
    assert other.take(key(1))
    one.close()
    other.close()


def test_a_lease_that_is_not_renewed_runs_out(open_leases: Callable[..., Leases], clock: Clock) -> None:
    dead, heir = open_leases(owner=elsewhere()), open_leases()
    dead.take(key(1))
    clock.now_s += LEASE_S - 1
    assert not heir.take(key(1))
    clock.now_s += 2
    assert not heir.is_taken(key(1))
    assert heir.take(key(1))
    dead.give_back(key(1))  # it was only slow, and has lost the key
    assert dead.is_taken(key(1))
    dead.close()
    heir.close()


class Overtaken(Leases):
    """Somebody else comes first whenever this one is about to look at the file."""

    def __init__(self, other: Callable[[], None], path: Path, *, clock: Callable[[], float]) -> None:
        super().__init__(path, clock=clock)
        self.other = other

    def _execute(self, statement: str, *arguments: Any) -> list[Any] | None:
        self.other()
        return super()._execute(statement, *arguments)


def test_a_lease_is_safe_from_one_who_was_about_to_take_it_long_before(tmp_path: Path, clock: Clock) -> None:
    first = Leases(tmp_path / "leases.sqlite3", clock=clock)

    def overtake() -> None:
        clock.now_s += 100 * LEASE_S  # stopped for long, or just waiting for its turn on a busy machine
        first.take(key(1))
        first.renew()

    late = Overtaken(overtake, tmp_path / "leases.sqlite3", clock=clock)
    assert not late.take(key(1))
    assert late.is_taken(key(1))
    late.close()
    first.close()


def test_a_clock_that_is_behind_by_less_than_a_lease_takes_nobodys_key(tmp_path: Path, clock: Clock) -> None:
    ahead = Leases(tmp_path / "leases.sqlite3", clock=lambda: clock() + LEASE_S - 1, owner=elsewhere())
    behind = Leases(tmp_path / "leases.sqlite3", clock=clock)
    assert ahead.take(key(1))
    assert not behind.take(key(1))
    assert behind.is_taken(key(1))
    ahead.close()
    behind.close()


def test_a_lease_that_is_renewed_lasts(open_leases: Callable[..., Leases], clock: Clock) -> None:
    owner, other = open_leases(owner=elsewhere()), open_leases()
    owner.take(key(1))
    for _ in range(5):
        clock.now_s += LEASE_S - 1
        owner.renew()
    assert not other.take(key(1))
    owner.close()
    assert other.take(key(1))
    other.close()


def test_a_lease_written_by_a_clock_that_was_wrong_does_not_last_for_ever(
    open_leases: Callable[..., Leases], clock: Clock
) -> None:
    ahead, right = open_leases(owner=elsewhere()), open_leases()
    clock.now_s += 1e6
    ahead.take(key(1))
    clock.now_s -= 1e6
    assert not right.is_taken(key(1))
    assert right.take(key(1))
    ahead.close()
    right.close()


def test_the_leases_of_a_process_of_this_machine_that_ended_are_free_at_once(
    open_leases: Callable[..., Leases],
) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dead, heir = open_leases(owner=Owner(machine_id(), child.pid, "gone")), open_leases()
    for number in range(2):
        dead.take(key(number))
    assert not heir.is_taken(key(0))
    assert heir.take(key(1))
    dead.close()
    heir.close()


def test_of_other_machines_nothing_is_known() -> None:
    assert not elsewhere().is_known_dead()
    assert not this_process().is_known_dead()
    assert Owner.parse(str(this_process())).machine == machine_id()
    assert Owner.parse("nonsense") == Owner("", 0, "nonsense")


@pytest.mark.parametrize("content", [b"this is no database" * 100, None])
def test_where_leases_do_not_work_everybody_computes(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "leases.sqlite3" if content else tmp_path / "missing" / "leases.sqlite3"
    if content:
        path.write_bytes(content)
    leases = Leases(path)
    assert leases.take(key(1))
    assert not leases.is_taken(key(1))
    leases.give_back(key(1))
    leases.renew()
    leases.close()


def test_a_damaged_file_is_removed_so_that_the_next_process_has_leases_again(tmp_path: Path) -> None:
    path = tmp_path / "leases.sqlite3"
    path.write_bytes(b"this is no database" * 100)
    damaged = Leases(path)
    damaged.take(key(1))
    damaged.close()
    one, other = Leases(path), Leases(path)
    assert one.take(key(1))
    assert not other.take(key(1))
    one.close()
    other.close()


def test_leases_lie_in_a_file_of_their_own(tmp_path: Path, open_leases: Callable[..., Leases]) -> None:
    leases = open_leases()
    leases.take(key(1))
    other = sqlite3.connect(tmp_path / "leases.sqlite3")
    assert other.execute("SELECT key, until FROM leases").fetchall() == [(key(1), 1000.0 + LEASE_S)]
    other.close()
    leases.close()
