"""Early cut-off: an edit that changes nothing in a value runs nothing after it; the plan says what it can't know."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdgraph.core.build import build_graph
from sdgraph.core.pack import NodePack
from sdgraph.core.port import In, Link, port
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.engine.cutoff import output_digests
from sdgraph.engine.executor import Executor
from sdgraph.engine.plan import Action, Plan, make_plan
from sdgraph.engine.record import NodeRecord, records_of
from sdgraph.engine.report import RunReport
from sdgraph.engine.stores.base import Payloads, ResultStore
from sdgraph.engine.stores.disk import DiskStore
from sdgraph.engine.stores.memory import MemoryStore
from sdgraph.engine.stores.tiered import TieredStore
from tests.engine.runs import in_memory, uncached
from tests.engine.toys import PACK, Bench, Coarse, Count, Log, Louder, Record, Secret, Switch, Tape


def cut(start: int, *, then: int = 1, outputs: tuple[str, ...] = ("last",)) -> Workflow:
    """first > coarse > middle > last, and side > middle."""
    workflow = Workflow("cut")
    first = workflow.add("first", Count(name="first", start=start)).out.value
    side = workflow.add("side", Count(name="side", start=50)).out.value
    coarse = workflow.add("coarse", Coarse(name="coarse", a=first)).out.value
    middle = workflow.add("middle", Count(name="middle", start=then, a=coarse, b=side)).out.value
    workflow.add("last", Count(name="last", a=middle))
    for name in outputs:
        workflow.output(name, Link(name, "value"))
    return workflow


def on_disk(folder: Path) -> Bench:
    def tiers(payloads: Payloads) -> ResultStore:
        return TieredStore(payloads, MemoryStore(payloads), DiskStore(folder, payloads))

    return Bench(tiers)


def actions(plan: Plan) -> dict[str, str]:
    return {name: step.action.value for name, step in plan.step_of.items()}


def statuses(report: RunReport) -> dict[str, str]:
    return {name: node.status for name, node in report.nodes.items()}


def test_what_follows_is_decided_at_run_time_and_runs_when_it_is_new() -> None:
    bench = in_memory()
    plan = bench.plan(cut(41))
    assert actions(plan) == {"first": "run", "side": "maybe", "coarse": "run", "middle": "maybe", "last": "maybe"}
    assert {plan.reason(name).code for name in ("side", "middle", "last")} == {"undecided-value"}
    report = bench.run(plan)
    assert set(statuses(report).values()) == {"ran"}
    assert report.outputs == uncached().run(cut(41)).outputs


def test_an_edit_that_changes_nothing_in_the_value_runs_nothing_after_it() -> None:
    bench = in_memory()
    bench.run(cut(41))
    bench.log.runs.clear()
    report = bench.run(cut(42))
    assert bench.log.runs == {"first": 1, "coarse": 1}
    assert statuses(report) == {"first": "ran", "side": "hit", "coarse": "ran", "middle": "hit", "last": "hit"}
    assert report.outputs == uncached().run(cut(42)).outputs
    assert bench.run(cut(60)).outputs == uncached().run(cut(60)).outputs
    assert bench.log.runs == {"first": 2, "coarse": 2, "middle": 1, "last": 1}


def test_what_is_needed_only_by_what_turns_out_to_be_stored_does_not_run() -> None:
    bench = in_memory()
    first = bench.plan(cut(41))
    bench.run(first)
    store = bench.store
    assert isinstance(store, MemoryStore)
    gone = {first.step_of[name].key for name in ("side", "middle")}
    for key in gone:
        del store._entries[key]
    bench.log.runs.clear()
    report = bench.run(cut(42))
    assert bench.log.runs == {"first": 1, "coarse": 1}
    assert {report.nodes[name].why.code for name in ("side", "middle")} == {"covered"}


def test_once_the_value_is_stored_the_whole_plan_is_known_also_by_another_process(tmp_path: Path) -> None:
    bench = on_disk(tmp_path)
    before = records(bench, cut(41))
    records(bench, cut(42))
    bench.store.close()
    again = on_disk(tmp_path)
    plan = again.plan(cut(42), before=before)
    covered = dict.fromkeys(("first", "side", "middle"), "covered")  # too cheap to be written
    assert actions(plan) == {**covered, "coarse": "hit", "last": "hit"}
    edited = again.plan(cut(42, then=2), before=before)
    assert actions(edited)["coarse"] == "hit"
    assert [edited.step_of[name].action for name in ("middle", "last")] == [Action.RUN, Action.RUN]
    again.store.close()


def records(bench: Bench, workflow: Workflow, before: dict[str, NodeRecord] | None = None) -> dict[str, NodeRecord]:
    plan = bench.plan(workflow, before=before)
    report = bench.run(plan)
    return dict(records_of(plan, report, bench.store))


def test_the_reason_says_that_the_value_is_the_same() -> None:
    bench = in_memory()
    before = records(bench, cut(41))
    report = bench.run(bench.plan(cut(42), before=before))
    said = {name: (node.why.code, node.reason) for name, node in report.nodes.items()}
    assert said["coarse"] == ("upstream-changed", "first changed: start from 41 to 42")
    # `last` is what the run asked for, and needed nothing before it.
    assert said["last"] == ("stored", "stored in memory")
    before = records(bench, cut(41))
    report = bench.run(bench.plan(cut(43, outputs=("middle", "last")), before=before))
    assert report.nodes["middle"].why.code == "same-value"
    assert report.nodes["middle"].reason == "the value of a is the same as before, though its recipe changed"


def test_the_reason_for_running_names_where_the_change_began() -> None:
    bench = in_memory()
    before = records(bench, cut(41))
    report = bench.run(bench.plan(cut(60), before=before))
    for name in ("coarse", "middle", "last"):
        assert report.nodes[name].reason == "first changed: start from 41 to 60"
    again = records(bench, cut(60))
    plan = bench.plan(cut(60), before=again)
    assert {step.reason.code for step in plan.steps.values()} <= {"stored", "covered"}


def test_a_branch_not_taken_is_not_run_to_find_a_key() -> None:
    def choice(taken: int) -> Workflow:
        workflow = Workflow("choice")
        chosen = workflow.add("chosen", Count(name="chosen", start=taken)).out.value
        left = workflow.add("left", Coarse(name="left", start=70)).out.value
        right = workflow.add("right", Coarse(name="right", start=90)).out.value
        switch = workflow.add("switch", Switch(name="switch", choice=chosen, a=left, b=right)).out.value
        workflow.output("out", workflow.add("after", Count(name="after", a=switch)).out.value)
        return workflow

    bench = in_memory()
    assert bench.run(choice(0)).outputs == uncached().run(choice(0)).outputs
    assert bench.log.runs["left"] == 1
    assert bench.log.runs["right"] == 0


def test_a_cut_off_that_fails_stops_what_follows_it_and_nothing_else() -> None:
    bench = in_memory()
    bench.log.broken.add("coarse")
    workflow = cut(41, outputs=("side", "last"))
    report = bench.run(workflow)
    assert statuses(report) == {
        "first": "ran",
        "side": "ran",
        "coarse": "failed",
        "middle": "skipped",
        "last": "skipped",
    }
    bench.log.broken.clear()
    assert bench.run(workflow).status == "done"


def test_payloads_are_compared_by_what_is_stored_of_them() -> None:
    payloads = in_memory().payloads

    def digest(value: Any) -> str | None:
        return output_digests({"out": value}, payloads).get("out")

    assert digest(Tape(np.ones(4, np.float32))) == digest(Tape(np.ones(4, np.float32)))
    tapes = [Tape(samples) for samples in (np.ones(4, np.float32), np.ones(5, np.float32), np.zeros(4, np.float32))]
    tapes.append(Tape(-np.zeros(4, np.float32)))
    plain: list[Any] = [1, 1.0, True, "1", None, [1], {"1": 1}]
    found = [digest(value) for value in (*tapes, *plain)]
    assert None not in found
    assert len(set(found)) == len(found)


def test_what_can_not_be_stored_has_no_digest() -> None:
    payloads = in_memory().payloads
    assert output_digests({"secret": Secret("word"), "pair": (1, 2), "one": 1}, payloads).keys() == {"one"}


class CoarseTape(Record, type="toy.coarse_tape", cutoff=True):
    """A tape, by its value; `spare` changes the recipe and nothing else."""

    spare: In[int] = port(0)


@pytest.mark.parametrize(("budget_bytes", "times"), [(2**20, 1), (0, 2)])
def test_equal_tapes_of_different_recipes_are_one_to_what_reads_them(budget_bytes: int, times: int) -> None:
    bench = Bench(lambda payloads: MemoryStore(payloads, budget_bytes))
    registry = Registry([PACK, NodePack("coarse", "1", (CoarseTape,))])
    workflow = Workflow("tapes")
    for place in range(2):
        tape = workflow.add(f"tape{place}", CoarseTape(name="tape", level=0.5, spare=place)).out.tape
        workflow.output(f"out{place}", workflow.add(f"louder{place}", Louder(name="louder", tape=tape)).out.tape)
    executor = Executor(registry, bench.store)
    report = executor.run(make_plan(build_graph(workflow, registry), bench.store))
    assert report.status == "done"
    assert report.outputs["out0"].samples.tolist() == report.outputs["out1"].samples.tolist() == [1.0] * 4
    assert executor.services.get(Log).runs == {"tape": 2, "louder": times}
