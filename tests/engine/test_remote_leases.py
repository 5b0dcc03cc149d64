"""Machines that share only a remote place compute each key once, as far as the place can tell them apart."""

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from sdgraph.core.pack import NodePack
from sdgraph.core.registry import Registry
from sdgraph.engine.executor import Executor
from sdgraph.engine.stores import mirrored
from sdgraph.engine.stores.base import Payloads, ResultStore
from sdgraph.engine.stores.disk import DiskStore
from sdgraph.engine.stores.memory import MemoryStore
from sdgraph.engine.stores.mirrored import MirroredStore
from sdgraph.engine.stores.owner import Owner
from sdgraph.engine.stores.remote import Remote
from sdgraph.engine.stores.remote_leases import LEASE_S, RemoteLeases
from sdgraph.engine.stores.tiered import TieredStore
from tests.engine.disk import key
from tests.engine.runs import WAIT_S
from tests.engine.test_remote_store import (  # noqa: F401  (fixtures)
    Open,
    places,  # pyright: ignore[reportUnusedImport]
    s3_options,  # pyright: ignore[reportUnusedImport]
)
from tests.engine.test_single_flight import (
    FAMILY,
    Chore,
    CoarseChore,
    chain_after,
    chores,
    stays_at,
    while_another_waits,
)
from tests.engine.toys import PACK, Bench

ATOMIC = ("file", "s3")


def machine(name: str) -> Owner:
    return Owner(name, 1, name)


@pytest.mark.parametrize("kind", ATOMIC)
def test_one_of_many_gets_the_key(kind: str, places: Callable[[str], Open]) -> None:  # noqa: F811
    place = places(kind)
    leases = [RemoteLeases(place(), owner=machine(f"m{number}")) for number in range(4)]
    barrier, taken = threading.Barrier(4), list[bool]()

    def take(one: RemoteLeases) -> None:
        barrier.wait(WAIT_S)
        taken.append(one.take(key(1)))

    threads = [threading.Thread(target=take, args=(one,)) for one in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert sorted(taken) == [False, False, False, True]
    for one in leases:
        one.close()
    assert leases[0].take(key(1))
    leases[0].close()


@pytest.mark.parametrize("kind", ATOMIC)
def test_a_lease_runs_out_unless_it_is_renewed_and_damage_is_nobodys(
    kind: str,
    places: Callable[[str], Open],  # noqa: F811
) -> None:
    now = [1000.0]
    place = places(kind)
    first, second = (RemoteLeases(place(), owner=machine(name), clock=lambda: now[0]) for name in ("a", "b"))
    assert first.take(key(1))
    now[0] += LEASE_S - 1
    first.renew()
    now[0] += LEASE_S - 1
    assert not second.take(key(1))
    now[0] += 2
    assert second.take(key(1))
    first.give_back(key(1))  # it was only slow, and has lost the key
    assert first.is_taken(key(1))
    place().write_lease(key(1), b"{")
    assert first.take(key(1))
    first.close()
    second.close()


def test_a_machine_waits_for_what_another_one_computes_and_reads_it_from_the_remote_place(tmp_path: Path) -> None:
    def bench(name: str) -> Bench:
        remote = Remote((tmp_path / "share").as_uri(), look_s=WAIT_S)
        leases = RemoteLeases(remote, owner=machine(name))
        return Bench(
            lambda payloads: MirroredStore(
                DiskStore(tmp_path / name, payloads), remote, payloads, close_wait_s=WAIT_S, leases=leases
            )
        )

    one, other = bench("one"), bench("other")
    first, second, _ = while_another_waits(
        lambda: one.run(chain_after("root")),
        lambda heard: other.run(chain_after("root"), listeners=(heard,)),
        *stays_at("root", one),
    )
    assert [first.status, second.status] == ["done", "done"]
    assert second.outputs == first.outputs
    root = second.nodes["root"]
    assert (root.status, root.reason, root.store) == ("hit", "computed elsewhere while this run waited", "remote")
    assert (one.log.runs["root"], other.log.runs["root"]) == (1, 0)
    one.store.close()
    other.store.close()


def do_chores(folder: Path) -> None:
    """One machine of the test below: a disk store of its own, and the share."""
    mirrored._WORTH_CLAIMING_S, mirrored._WORTH_ASKS, mirrored._ASK_AGAIN_S = 0.0, 0.0, 0.02  # chores are quick

    def tiers(payloads: Payloads) -> ResultStore:
        disk = DiskStore(folder / f"disk{os.getpid()}", payloads)
        remote = Remote((folder / "share").as_uri(), look_s=WAIT_S)
        return TieredStore(payloads, MemoryStore(payloads), MirroredStore(disk, remote, payloads, close_wait_s=WAIT_S))

    bench = Bench(tiers)
    bench.registry = Registry([PACK, NodePack("chores", "1", (Chore, CoarseChore))])
    report = Executor(bench.registry, bench.store).run(bench.plan(chores(folder / "log")))
    bench.store.close()
    assert report.status == "done", report.problems


def test_machines_with_one_share_compute_each_key_once_in_total(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    program = FAMILY.replace("test_single_flight", "test_remote_leases").replace("range(8)", "range(3)")
    family = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert family.returncode == 0, family.stderr
    assert len(list(tmp_path.glob("disk*"))) == 3
    done = Counter((tmp_path / "log").read_text().split())
    assert len(done) == 20
    assert set(done.values()) == {1}, done
