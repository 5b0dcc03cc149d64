"""Single flight: whoever needs a key that is being computed waits for it, and each key is computed once."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdgraph.core.context import RunContext
from sdgraph.core.node import Node
from sdgraph.core.pack import NodePack
from sdgraph.core.port import In, port
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.engine.context import CancelToken
from sdgraph.engine.events import RunEvent
from sdgraph.engine.executor import Executor
from sdgraph.engine.report import RunReport
from sdgraph.engine.run import WAITING
from sdgraph.engine.stores.base import Payloads, ResultStore
from sdgraph.engine.stores.disk import FORMAT_FOLDER, DiskStore
from sdgraph.engine.stores.leases import LEASE_S, Leases
from sdgraph.engine.stores.memory import MemoryStore
from sdgraph.engine.stores.owner import Owner
from sdgraph.engine.stores.tiered import TieredStore
from tests.engine.runs import WAIT_S, diamond, in_memory
from tests.engine.toys import PACK, Bench, Count, NumberOut, chain

WORK_S = 0.004
PROCESSES = 8


class Chore(Node[NumberOut], type="toy.chore"):
    """Work for a while, and write down in a file that it was done."""

    name: In[str] = port("", keyed=False)
    log: In[str] = port("", keyed=False)
    start: In[int] = port(0)
    a: In[int] = port(0)
    b: In[int] = port(0)

    def run(self, ctx: RunContext) -> NumberOut:
        with open(self.log, "a") as log:
            log.write(f"{self.name}\n")
        pause = threading.Event()
        pause.wait(WORK_S)
        return NumberOut(value=self.start + self.a + self.b)


class CoarseChore(Chore, type="toy.coarse_chore", cutoff=True):
    """One with early cut-off: the keys after it are made when it has run."""


def chores(log: Path) -> Workflow:
    """A chain with a branch at every fourth node."""
    workflow = Workflow("chores")
    value: Any = 0
    for place in range(16):
        kind = CoarseChore if place % 4 == 1 else Chore
        node = kind(name=f"n{place}", log=str(log), start=place, a=value)
        linked = workflow.add(f"n{place}", node).out.value
        if place % 4 == 0:
            workflow.output(f"side{place}", workflow.add(f"s{place}", Chore(name=f"s{place}", log=str(log), start=99, a=linked)).out.value)  # fmt: skip # noqa: E501
        value = linked
    workflow.output("out", value)
    return workflow


def open_tiers(folder: Path) -> Callable[[Payloads], ResultStore]:
    return lambda payloads: TieredStore(payloads, MemoryStore(payloads), DiskStore(folder, payloads))


def do_chores(folder: Path) -> None:
    """One process of the test below: run the workflow on the shared store."""
    bench = Bench(open_tiers(folder / "store"))
    bench.registry = Registry([PACK, NodePack("chores", "1", (Chore, CoarseChore))])
    report = Executor(bench.registry, bench.store).run(bench.plan(chores(folder / "log")))
    bench.store.close()
    assert report.status == "done", report.problems
    assert report.problems == ()
    assert report.outputs["out"] == sum(range(16))


FAMILY = f"""
import os, sys
from pathlib import Path
from tests.engine.test_single_flight import do_chores
start, go = os.pipe()
children = []
for _ in range({PROCESSES}):
    child = os.fork()
    if child == 0:
        os.close(go)
        os.read(start, 1)
        try:
            do_chores(Path(sys.argv[1]))
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    children.append(child)
os.close(go)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def test_eight_processes_with_one_store_compute_each_key_once_in_total(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", FAMILY, str(tmp_path)]
    family = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert family.returncode == 0, family.stderr
    done = Counter((tmp_path / "log").read_text().split())
    assert len(done) == 20
    assert set(done.values()) == {1}, done


def stays_at(node: str, bench: Bench) -> tuple[threading.Event, threading.Event]:
    """Let a node wait: gives the events that it has begun, and that it may end."""
    begun, may_end = threading.Event(), threading.Event()

    def hold(_: Any) -> None:
        begun.set()
        assert may_end.wait(WAIT_S)

    bench.log.hooks[node] = hold
    return begun, may_end


class Waiting:
    """A listener that lets a test know when a node waits."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.heard: list[RunEvent] = []

    def __call__(self, event: RunEvent) -> None:
        self.heard.append(event)
        if event.type == "node_waiting":
            self.event.set()


def in_thread(run: Callable[[], RunReport]) -> tuple[threading.Thread, list[RunReport]]:
    reports: list[RunReport] = []
    thread = threading.Thread(target=lambda: reports.append(run()))
    thread.start()
    return thread, reports


def while_another_waits(
    first: Callable[[], RunReport],
    second: Callable[[Waiting], RunReport],
    begun: threading.Event,
    may_end: threading.Event,
) -> tuple[RunReport, RunReport, Waiting]:
    """The reports of a run that is held at a node until another one waits for it, and of that one."""
    listener = Waiting()
    one, one_reports = in_thread(first)
    assert begun.wait(WAIT_S)
    other, other_reports = in_thread(lambda: second(listener))
    assert listener.event.wait(WAIT_S)
    may_end.set()
    one.join(WAIT_S)
    other.join(WAIT_S)
    return one_reports[0], other_reports[0], listener


def test_two_runs_in_one_process_share_a_computation() -> None:
    bench = in_memory()
    first, second, listener = while_another_waits(
        lambda: bench.run(diamond()), lambda heard: bench.run(diamond(), listeners=(heard,)), *stays_at("root", bench)
    )
    assert second.outputs == first.outputs
    assert bench.log.runs["root"] == 1
    root = second.nodes["root"]
    assert (root.status, root.reason, root.store) == ("hit", "computed elsewhere while this run waited", "memory")
    (waiting,) = [event for event in listener.heard if event.type == "node_waiting" and event.node == "root"]
    assert waiting.data["reason"] == WAITING


def test_a_run_that_waits_can_be_cancelled_and_goes_on_with_what_nobody_computes() -> None:
    bench, cancel = in_memory(), CancelToken()
    begun, may_end = stays_at("root", bench)
    first, _ = in_thread(lambda: bench.run(chain_after("root")))
    assert begun.wait(WAIT_S)
    listener = Waiting()
    workflow = chain_after("root")
    workflow.output("other", workflow.add("other", Count(name="other", start=77)).out.value)
    second, reports = in_thread(lambda: bench.run(workflow, listeners=(listener,), cancel=cancel))
    assert listener.event.wait(WAIT_S)
    cancel.cancel()
    second.join(WAIT_S)
    may_end.set()
    first.join(WAIT_S)
    (report,) = reports
    assert report.status == "cancelled"
    assert report.nodes["root"].status == "skipped"
    assert report.nodes["other"].status == "ran"


def chain_after(name: str) -> Workflow:
    workflow = Workflow("chain")
    root = workflow.add(name, Count(name=name, start=1)).out.value
    workflow.output("out", workflow.add("after", Count(name="after", a=root)).out.value)
    return workflow


def test_when_the_one_that_computes_fails_the_one_that_waits_computes() -> None:
    bench = in_memory()
    begun, may_end = threading.Event(), threading.Event()

    def fail_once(_: Any) -> None:
        if bench.log.runs["root"] == 1:
            begun.set()
            assert may_end.wait(WAIT_S)
            raise RuntimeError("the first one fails")

    bench.log.hooks["root"] = fail_once
    first, second, _ = while_another_waits(
        lambda: bench.run(chain_after("root")),
        lambda heard: bench.run(chain_after("root"), listeners=(heard,)),
        begun,
        may_end,
    )
    assert [first.status, second.status] == ["failed", "done"]
    assert second.nodes["root"].status == "ran"


def test_a_result_that_is_not_kept_is_computed_by_each_who_waited() -> None:
    bench = Bench(lambda payloads: MemoryStore(payloads, budget_bytes=0))
    _, second, _ = while_another_waits(
        lambda: bench.run(chain_after("root")),
        lambda heard: bench.run(chain_after("root"), listeners=(heard,)),
        *stays_at("root", bench),
    )
    assert second.status == "done"
    assert bench.log.runs["root"] == 2


def test_nodes_that_cost_next_to_nothing_take_no_lease(tmp_path: Path) -> None:
    class Counting(Leases):
        taken = 0

        def take(self, key: bytes) -> bool:
            self.taken += 1
            return super().take(key)

    leases = Counting(tmp_path / "leases.sqlite3")
    bench = Bench(lambda payloads: DiskStore(tmp_path, payloads, leases=leases), threads={"cpu": 1})
    bench.executor.costs.learn("toy.count", 1e-5)
    bench.run(chain(50))
    assert leases.taken == 0
    bench.executor.costs.learn("toy.count", 1.0)
    bench.run(chain(3, start=1))
    assert leases.taken > 0
    bench.store.close()


# Owners that die.


def test_a_run_takes_over_what_a_dead_owner_left_when_its_lease_runs_out(tmp_path: Path) -> None:
    now = [1000.0]

    def leases(owner: Owner | None = None) -> Leases:
        (tmp_path / FORMAT_FOLDER).mkdir(exist_ok=True)
        return Leases(tmp_path / FORMAT_FOLDER / "leases.sqlite3", clock=lambda: now[0], owner=owner)

    bench = Bench(lambda payloads: DiskStore(tmp_path, payloads, leases=leases()))
    plan = bench.plan(chain(1))
    dead = leases(Owner("a machine without power", 1, "x"))
    assert dead.take(plan.step_of["n0"].key)
    listener = Waiting()
    run, reports = in_thread(lambda: bench.run(plan, listeners=(listener,)))
    assert listener.event.wait(WAIT_S)
    now[0] += LEASE_S + 1
    run.join(WAIT_S)
    assert [report.status for report in reports] == ["done"]
    assert bench.log.runs["n0"] == 1
    dead.close()
    bench.store.close()


HOLDER = """
import sys
from pathlib import Path
from tests.engine.test_single_flight import open_tiers
from tests.engine.toys import Bench, chain
bench = Bench(open_tiers(Path(sys.argv[1])))
def hold(_):
    print("holding", flush=True)
    sys.stdin.read()
bench.log.hooks["n0"] = hold
bench.run(chain(3))
"""


@pytest.mark.parametrize("moment", ["while it waits", "before it plans"])
def test_when_the_owner_is_killed_another_process_takes_over(tmp_path: Path, moment: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    owner = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    assert owner.stdin
    assert owner.stdout.readline() == "holding\n"

    def kill() -> None:
        owner.send_signal(signal.SIGKILL)
        owner.wait()

    bench, listener = Bench(open_tiers(tmp_path)), Waiting()
    if moment == "before it plans":
        kill()
    run, reports = in_thread(lambda: bench.run(chain(3), listeners=(listener,)))
    if moment == "while it waits":
        assert listener.event.wait(WAIT_S)
        kill()
    run.join(WAIT_S)
    owner.stdout.close()
    owner.stdin.close()
    assert [report.status for report in reports] == ["done"]
    assert bench.log.runs == {"n0": 1, "n1": 1, "n2": 1}
    bench.store.close()
