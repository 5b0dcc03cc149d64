"""What nodes are given and what they give: checked values, and views that nobody can spoil."""

from typing import Any

import numpy as np

from sdgraph.core.workflow import Workflow
from sdgraph.engine.stores.base import Payloads, Result
from tests.engine.runs import in_memory
from tests.engine.toys import Count, Half, Liar, ListVandal, Louder, Record, Split, Things, Vandal


def test_a_node_that_returns_the_wrong_thing_has_failed() -> None:
    workflow = Workflow("liar")
    workflow.output("out", workflow.add("liar", Liar()).out.tape)
    (problem,) = in_memory().run(workflow).errors
    assert problem.code == "outputs-invalid"
    assert problem.node == "liar"
    assert "str" in problem.message


def test_a_computed_value_that_does_not_fit_a_port_is_a_problem_of_that_port() -> None:
    workflow = Workflow("half")
    half: Any = workflow.add("half", Half(value=3.0)).out.value
    workflow.output("out", workflow.add("count", Count(a=half)).out.value)
    (problem,) = in_memory().run(workflow).errors
    assert (problem.code, problem.node, problem.port) == ("value-invalid", "count", "a")
    assert "1.5" in problem.message


def test_an_integer_that_is_computed_arrives_at_a_float_port_as_a_float() -> None:
    workflow = Workflow("half")
    count: Any = workflow.add("count", Count(start=3)).out.value
    workflow.output("out", workflow.add("half", Half(value=count)).out.value)
    assert in_memory().run(workflow).outputs == {"out": 1.5}


def test_a_node_cannot_change_an_input_that_others_see() -> None:
    bench = in_memory()
    workflow = Workflow("vandal")
    tape = workflow.add("tape", Record(level=1.0)).out.tape
    workflow.output("vandal", workflow.add("vandal", Vandal(tape=tape)).out.tape)
    workflow.output("honest", workflow.add("honest", Louder(tape=tape)).out.tape)
    workflow.output("tape", tape)
    report = bench.run(workflow)
    assert report.nodes["vandal"].status == "failed"
    np.testing.assert_array_equal(report.outputs["tape"].samples, np.ones(4, np.float32))
    np.testing.assert_array_equal(report.outputs["honest"].samples, np.full(4, 2, np.float32))


def test_a_node_cannot_change_a_plain_list_that_others_see() -> None:
    workflow = Workflow("vandal")
    things = workflow.add("things", Things()).out.value
    for name in ("first", "second"):
        workflow.output(name, workflow.add(name, ListVandal(things=things)).out.value)
    workflow.output("things", things)
    assert in_memory().run(workflow).outputs == {"first": 2, "second": 2, "things": ["clean"]}


def test_whoever_writes_into_a_report_changes_no_stored_result() -> None:
    bench = in_memory()
    workflow = Workflow("list")
    workflow.output("things", workflow.add("things", Things()).out.value)
    bench.run(workflow).outputs["things"].append("graffiti")
    assert bench.run(workflow).outputs == {"things": ["clean"]}


def test_every_output_of_a_node_reaches_its_reader() -> None:
    workflow = Workflow("split")
    split = workflow.add("split", Split(value=47)).out
    workflow.output("out", workflow.add("join", Count(a=split.low, b=split.high)).out.value)
    assert in_memory().run(workflow).outputs == {"out": 2 * 7 + 3 * 4}


def test_payload_sizes_count_every_output() -> None:
    payloads: Payloads = in_memory().payloads
    assert payloads.size_bytes(Result({"a": 1, "b": 2}, 0.0)) == 128
