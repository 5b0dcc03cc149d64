"""Running plans: what runs, how often, and what becomes of failures."""

from typing import Any

from sdgraph.core.workflow import Workflow
from sdgraph.engine.plan import Action
from tests.engine.runs import diamond, in_memory
from tests.engine.toys import Count, Handle, Repeat, Save, chain


def test_a_run_computes_every_node_once_and_gives_the_outputs() -> None:
    bench = in_memory()
    report = bench.run(diamond())
    assert report.status == "done"
    assert report.outputs == {"out": 2 * (2 + 2) + 3 * (3 + 2)}
    assert bench.log.runs == {"root": 1, "left": 1, "right": 1, "join": 1}
    assert {node.status for node in report.nodes.values()} == {"ran"}


def test_a_second_run_computes_nothing() -> None:
    bench = in_memory()
    first = bench.run(diamond())
    second = bench.run(diamond())
    assert second.status == "done"
    assert second.outputs == first.outputs
    assert {node.status for node in second.nodes.values()} == {"hit"}
    assert bench.log.runs.total() == 4


def test_targets_that_are_hits_do_not_end_the_run_before_the_others_ran() -> None:
    bench = in_memory()
    workflow = Workflow("two")
    workflow.output("first", workflow.add("first", Count(name="first", start=1)).out.value)
    bench.run(workflow)
    workflow.output("second", workflow.add("second", Count(name="second", start=2)).out.value)
    report = bench.run(workflow)
    assert report.status == "done"
    assert report.outputs == {"first": 1, "second": 2}


def test_nodes_with_equal_keys_run_once() -> None:
    bench = in_memory()
    workflow = Workflow("twins")
    for name in ("a", "b", "c"):
        value = workflow.add(name, Count(name=name, start=7)).out.value
        workflow.output(f"{name}_out", workflow.add(f"after_{name}", Count(name=f"after_{name}", a=value)).out.value)
    report = bench.run(workflow)
    assert report.outputs == {"a_out": 14, "b_out": 14, "c_out": 14}
    assert bench.log.runs.total() == 2
    assert report.nodes["b"].status == "hit"
    assert report.nodes["b"].reason == "the same as a"


def test_a_failing_node_stops_only_what_depends_on_it() -> None:
    bench = in_memory()
    bench.log.broken.add("left")
    workflow = diamond()
    workflow.output("other", workflow.add("other", Count(name="other", start=50)).out.value)
    report = bench.run(workflow)
    assert report.status == "partial"
    assert report.outputs == {"other": 50}
    statuses = {name: node.status for name, node in report.nodes.items()}
    assert statuses == {"root": "ran", "left": "failed", "right": "ran", "join": "skipped", "other": "ran"}
    (problem,) = report.errors
    assert problem.code == "node-failed"
    assert problem.node == "left"
    assert "left is broken" in problem.message


def test_a_fixed_rerun_starts_from_what_was_stored() -> None:
    bench = in_memory()
    bench.log.broken.add("left")
    bench.run(diamond())
    bench.log.broken.clear()
    bench.log.runs.clear()
    assert bench.run(diamond()).status == "done"
    assert bench.log.runs == {"left": 1, "join": 1}


def test_a_run_whose_every_output_fails_is_failed() -> None:
    bench = in_memory()
    bench.log.broken.add("n0")
    report = bench.run(chain(3))
    assert report.status == "failed"
    assert report.outputs == {}


def test_a_node_that_exits_the_interpreter_is_a_failed_node() -> None:
    bench = in_memory()

    def leave(_: Any) -> None:
        raise SystemExit(3)

    bench.log.hooks["n1"] = leave
    report = bench.run(chain(3))
    assert report.nodes["n1"].status == "failed"
    assert report.nodes["n2"].status == "skipped"


def test_a_macro_node_runs_as_its_parts() -> None:
    bench = in_memory()
    workflow = Workflow("macro")
    start = workflow.add("start", Count(start=1)).out.value
    workflow.output("out", workflow.add("repeat", Repeat(a=start, times=3)).out.value)
    report = bench.run(workflow)
    assert report.outputs == {"out": ((1 * 2 + 0) * 2 + 1) * 2 + 2}
    assert [bench.log.runs[f"step{step}"] for step in range(3)] == [1, 1, 1]


def test_handles_are_made_anew_in_every_run_and_only_when_needed() -> None:
    bench = in_memory()
    workflow = Workflow("handle")
    handle = workflow.add("handle", Handle(name="handle", start=4)).out.value
    first = workflow.add("first", Count(name="first", a=handle)).out.value
    workflow.output("first", first)
    bench.run(workflow)
    bench.run(workflow)
    assert bench.log.runs == {"handle": 1, "first": 1}
    workflow.output("second", workflow.add("second", Count(name="second", start=1, a=handle)).out.value)
    assert bench.run(workflow).status == "done"
    assert bench.log.runs == {"handle": 2, "first": 1, "second": 1}


def test_only_the_nodes_asked_for_have_results_even_if_another_shares_their_step() -> None:
    bench = in_memory()
    workflow = Workflow("saves")
    value = workflow.add("value", Count(start=3)).out.value
    one = workflow.add("one", Save(value=value, file_name="one.txt")).out.value
    workflow.add("two", Save(value=value, file_name="two.txt"))
    workflow.output("one", one)
    assert set(bench.run(workflow).results) == {"one", "two"}
    assert set(bench.run(bench.plan(workflow, outputs=["one"])).results) == {"one"}


def test_the_report_times_nodes_by_the_executor_clock() -> None:
    now = iter(range(1000))
    bench = in_memory(clock=lambda: float(next(now)), threads={"cpu": 1})
    report = bench.run(chain(2))
    assert report.nodes["n0"].elapsed_s == 1.0
    assert report.nodes["n0"].to_json()["elapsed_s"] == 1.0
    assert sum(node.elapsed_s for node in report.nodes.values()) <= report.elapsed_s


def test_planned_runs_and_hits_are_what_the_run_does() -> None:
    bench = in_memory()
    bench.run(chain(3))
    workflow = chain(5)
    plan = bench.plan(workflow)
    planned = {name: step.action for name, step in plan.step_of.items()}
    report = bench.run(plan)
    assert planned == {
        "n0": Action.HIT, "n1": Action.HIT, "n2": Action.HIT, "n3": Action.RUN, "n4": Action.RUN,
    }  # fmt: skip
    assert [report.nodes[f"n{place}"].status for place in range(5)] == ["hit", "hit", "hit", "ran", "ran"]
