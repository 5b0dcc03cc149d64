"""What is lost when processes are killed while they run a workflow: kill -9 at random moments, then the run again.

    python -m benchmarks.crashes [--rounds 100] [--seed 1] [--small-disk FOLDER] [--json]

Each round starts one process, in every fourth round two with the same workflow, and kills them at a random moment
within the time that the whole run takes. Then another process plans and runs the workflow again, with the same disk
store. It counts what must be none: results that differ from those of a run without a store, results whose saving had
ended and that are not there, nodes that run though their result was stored. And what was in flight: nodes that had
finished whose result was not written yet, and nodes that were at work. One node of the workflow leaves checkpoints.

With `--small-disk`, a folder on a file system of a few megabytes, runs go on after that is full.
"""

import argparse
import json
import os
import random
import select
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.toys import PAYLOADS, REGISTRY, Noise, Patient, Picture, Smooth
from sdgraph.core.build import build_graph
from sdgraph.core.port import Link
from sdgraph.core.workflow import Workflow
from sdgraph.engine.events import RunEvent
from sdgraph.engine.executor import Executor
from sdgraph.engine.plan import Plan, make_plan
from sdgraph.engine.report import RunReport
from sdgraph.engine.stores.base import NullStore, Result, ResultStore
from sdgraph.engine.stores.disk import DiskStore
from sdgraph.engine.stores.memory import MemoryStore
from sdgraph.engine.stores.tiered import TieredStore

BRANCHES, LENGTH = 4, 5
PATIENT_STEPS = 40


def workflow(seed: int, edge_px: int) -> Workflow:
    """Branches of pictures that are smoothed, each picture an output, and one node of many steps."""
    made = Workflow("crashes")
    for branch in range(BRANCHES):
        value: Any = made.add(f"noise{branch}", Noise(seed=seed * BRANCHES + branch, edge_px=edge_px)).out.picture
        for place in range(LENGTH):
            value = made.add(f"b{branch}s{place}", Smooth(picture=value, steps=20 + place)).out.picture
            made.output(f"b{branch}s{place}", value)
    first: Any = Link("b0s0", "picture")
    made.output("patient", made.add("patient", Patient(picture=first, steps=PATIENT_STEPS)).out.picture)
    return made


class Notes:
    """What a process tells in a file, line by line, so that it is known after it was killed."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def tell(self, what: str, name: str) -> None:
        os.write(self._handle, f"{what} {name}\n".encode())


class NotedStore(DiskStore):
    """A disk store that tells when a result is where it will stay."""

    def __init__(self, folder: Path, notes: Notes) -> None:
        super().__init__(folder, PAYLOADS)
        self.names: Mapping[bytes, str] = {}
        self._notes = notes

    def save(self, key: bytes, result: Result, *, keep: bool = False) -> None:
        super().save(key, result, keep=keep)
        if self.find(key):
            self._notes.tell("saved", self.names[key])


def plan_of(made: Workflow, store: ResultStore) -> Plan:
    return make_plan(build_graph(made, REGISTRY), store)


def execute(plan: Plan, store: ResultStore, heard: Callable[[RunEvent], None] | None = None) -> RunReport:
    executor = Executor(REGISTRY, store, checkpoint_every_steps=1)
    return executor.run(plan, listeners=() if heard is None else (heard,))


def pictures(report: RunReport) -> dict[str, str]:
    """Digests of the outputs."""
    found = {name: value for name, value in report.outputs.items() if isinstance(value, Picture)}
    return {name: sha256(value.pixels.tobytes()).hexdigest() for name, value in found.items()}


def run_without_store(made: Workflow) -> dict[str, str]:
    """What a run gives that nothing can disturb."""
    store = NullStore()
    return pictures(execute(plan_of(made, store), store))


def run_until_killed(made: Workflow, folder: Path, notes: Notes) -> None:
    """What the process does that is killed."""

    def tell(event: RunEvent) -> None:
        if event.node is not None and event.type in ("node_started", "node_finished"):
            notes.tell(event.type, event.node)

    disk = NotedStore(folder, notes)
    store = TieredStore(PAYLOADS, MemoryStore(PAYLOADS), disk)
    plan = plan_of(made, store)
    disk.names = {key: step.node.id for key, step in plan.steps.items()}
    execute(plan, store, tell)


def run_again(made: Workflow, folder: Path, expected: Mapping[str, str]) -> dict[str, Any]:
    """What the process finds and does that comes after it."""
    with closing(TieredStore(PAYLOADS, MemoryStore(PAYLOADS), DiskStore(folder, PAYLOADS))) as store:
        plan = plan_of(made, store)
        stored = [name for name, step in plan.step_of.items() if store.find(step.key)]
        report = execute(plan, store)
    found = pictures(report)
    return {
        "nodes": list(plan.step_of),
        "stored": stored,
        "ran": [name for name, node in report.nodes.items() if node.status == "ran"],
        "wrong": [name for name, content in expected.items() if found.get(name) != content],
        "problems": [problem.code for problem in report.problems],
    }


def in_child(work: Callable[[], Any]) -> tuple[int, int]:
    """Start a process that works and ends; its id, and where it writes what `work` gave, as JSON."""
    answer, end = os.pipe()
    child = os.fork()
    if child:
        os.close(end)
        return child, answer
    status = 1
    try:
        os.close(answer)
        os.write(end, json.dumps(work()).encode())
        status = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    os._exit(status)


def answer_of(child: int, answer: int) -> Any:
    with open(answer, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    if not content:
        raise RuntimeError("a process failed")
    return json.loads(content)


def kill_after(wait_s: float, children: list[tuple[int, int]]) -> int:
    """Kill processes; gives how many had not ended by themselves."""
    select.select([answer for _, answer in children], [], [], wait_s)
    killed = 0
    for child, answer in children:
        os.kill(child, signal.SIGKILL)
        killed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        os.close(answer)
    return killed


def one_round(folder: Path, number: int, wait_s: float, edge_px: int) -> Counter[str]:
    made = workflow(number, edge_px)
    expected = answer_of(*in_child(lambda: run_without_store(made)))
    notes = folder / f"notes{number}"
    children = [
        in_child(lambda: run_until_killed(made, folder / "store", Notes(notes))) for _ in range(2 - (number % 4 > 0))
    ]
    killed = kill_after(wait_s, children)
    told: dict[str, set[str]] = {"node_started": set(), "node_finished": set(), "saved": set()}
    for line in notes.read_text().splitlines() if notes.exists() else []:
        what, name = line.split(" ")
        told[what].add(name)
    again = answer_of(*in_child(lambda: run_again(made, folder / "store", expected)))
    stored, ran = set(again["stored"]), set(again["ran"])
    return Counter(
        killed=killed,
        nodes=len(again["nodes"]),
        saved=len(told["saved"]),
        stored=len(stored),
        ran_again=len(ran),
        finished_but_not_written=len(told["node_finished"] - stored),
        at_work=len(told["node_started"] - told["node_finished"]),
        wrong=len(again["wrong"]),
        lost=len(told["saved"] - stored),
        ran_though_stored=len(ran & stored),
        problems=len(again["problems"]),
    )


def crashes(rounds: int, seed: int, edge_px: int) -> dict[str, Any]:
    """All rounds on one store."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="sdgraph-crashes-") as name:
        folder = Path(name)
        started = time.perf_counter()
        answer_of(*in_child(lambda: run_again(workflow(rounds, edge_px), folder / "first", {})))
        whole_s = time.perf_counter() - started
        found: Counter[str] = Counter()
        for number in range(rounds):
            found.update(one_round(folder, number, dice.uniform(0.0, whole_s), edge_px))
        good, bad = answer_of(*in_child(lambda: verify(folder / "store")))
    return {"rounds": rounds, "whole_run_ms": round(whole_s * 1e3, 1), **found, "entries": good, "damaged": bad}


def verify(folder: Path) -> tuple[int, int]:
    with closing(DiskStore(folder, PAYLOADS)) as store:
        return store.verify()


def small_disk(folder: Path, edge_px: int) -> dict[str, Any]:
    """Run with a store on a disk that has half the room it needs, then none at all; clean up there, and run again."""
    made = workflow(0, edge_px)
    expected = answer_of(*in_child(lambda: run_without_store(made)))
    with tempfile.TemporaryDirectory(prefix="sdgraph-full-", dir=folder) as name:
        store, ballast = Path(name) / "store", Path(name) / "ballast"
        fill(ballast, edge_px * edge_px * 4 * BRANCHES * LENGTH // 2)
        half = answer_of(*in_child(lambda: run_again(made, store, expected)))
        fill(ballast, 0)
        none = answer_of(*in_child(lambda: run_again(made, store, expected)))
        removed = answer_of(*in_child(lambda: clean_up(store)))
        ballast.unlink()
        again = answer_of(*in_child(lambda: run_again(made, store, expected)))
        good, bad = answer_of(*in_child(lambda: verify(store)))
    return {
        "wrong": sum(len(run["wrong"]) for run in (half, none, again)),
        "half_room_problems": half["problems"],
        "no_room_problems": none["problems"],
        "stored_without_room": len(none["stored"]),
        "cleaned_up": removed,
        "problems_with_room": again["problems"],
        "entries": good,
        "damaged": bad,
    }


def fill(ballast: Path, leave_bytes: int) -> None:
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while os.statvfs(ballast).f_bavail * os.statvfs(ballast).f_frsize > leave_bytes:
            file.write(bytes(2**12))


def clean_up(folder: Path) -> int:
    """How many entries had to go so that the store is within half of what it has."""
    with closing(DiskStore(folder, PAYLOADS)) as store:
        return store.gc(store.info().nbytes // 2)[0]


def show(found: Mapping[str, Any]) -> None:
    print(
        f"{found['rounds']} rounds on one store, {found['killed']} processes killed within the "
        f"{found['whole_run_ms']:.0f} ms that a whole run takes\n"
        f"  of {found['nodes']:,} nodes {found['stored']:,} were stored when the next process came, "
        f"which ran the other {found['ran_again']:,}\n"
        f"  in flight: {found['finished_but_not_written']:,} finished and not written (yet, or as not worth it), "
        f"{found['at_work']:,} at work\n"
        f"  wrong results {found['wrong']}, saved and lost {found['lost']}, run though stored "
        f"{found['ran_though_stored']}, problems {found['problems']}, damaged entries {found['damaged']} of "
        f"{found['entries']:,} (limit 0 each)"
    )
    if full := found.get("small_disk"):
        print(
            f"Full disk: {full['half_room_problems']}, without any room {full['no_room_problems']} with "
            f"{full['stored_without_room']} results read, {full['cleaned_up']} cleaned up there, then "
            f"{full['problems_with_room'] or 'no problems'}; wrong results {full['wrong']}, damaged entries "
            f"{full['damaged']} of {full['entries']}"
        )


def main(arguments: list[str] | None = None) -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--edge-px", type=int, default=128)
    parser.add_argument("--small-disk", type=Path, metavar="FOLDER", help="a folder on a file system of a few MB")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    found = crashes(options.rounds, options.seed, options.edge_px)
    if options.small_disk is not None:
        found["small_disk"] = small_disk(options.small_disk, options.edge_px)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)


if __name__ == "__main__":
    main()
