"""What is settled before the run: constants, branches of a known choice, macro nodes."""

from typing import Any

import pytest

from sdgraph.core.build import check_workflow
from sdgraph.core.workflow import Workflow
from tests.core.documents import built, checked, document, links, node, places, wrong
from tests.core.toys import Louder, Oscillator, registry

WAVES = {"o": node("oscillator"), "p": node("oscillator", {"steps": 4})}


def test_a_value_behind_a_value_node_is_the_value_typed_in() -> None:
    nodes = {"n": node("number", {"value": 6}), "d": node("divide", {"b": 2}, a="n.value")}
    graph = built({**nodes, "o": node("oscillator", pitch_hz="d.value")}, {"w": "o.wave", "half": "d.value"})
    assert list(graph.nodes) == ["o"]
    assert graph.nodes["o"].values["pitch_hz"] == 3.0
    assert graph.constants == {"half": 3}


def test_a_computed_value_is_checked_like_a_typed_one() -> None:
    nodes = {"n": node("number", {"value": 6}), "o": node("oscillator", steps="n.value")}
    assert wrong(nodes) == [("value-out-of-range", "o", "steps")]


def test_a_value_node_that_fails_is_a_warning_because_a_failing_node_stops_only_what_depends_on_it() -> None:
    nodes = {"d": node("divide", {"b": 0}), "o": node("oscillator", seed="d.value")}
    found = checked(nodes, {"w": "o.wave"})
    assert places(found.problems) == [("node-will-fail", "d", None)]
    assert found.graph is not None
    assert list(found.graph.nodes) == ["d", "o"]


@pytest.mark.parametrize(("first", "taken"), [(True, "a"), (False, "b")])
def test_a_known_choice_needs_only_the_branch_taken(first: bool, taken: str) -> None:
    choice = node("switch", a="o.wave", b="p.wave", first="c.value")
    truth = node("switch", {"a": first})
    nodes = {**WAVES, "c": truth, "s": choice, "l": node("louder", wave="s.value")}
    assert list(links(built(nodes, {"w": "l.wave"}))["s"]) == [taken]


def test_a_choice_between_values_is_folded() -> None:
    nodes = {"s": node("switch", {"first": False, "a": 1, "b": 12}), "o": node("oscillator", steps="s.value")}
    assert built(nodes, {"w": "o.wave"}).nodes["o"].values["steps"] == 12


def test_a_choice_that_takes_an_unconnected_branch_is_a_problem_of_the_reader() -> None:
    nodes = {**WAVES, "s": node("switch", {"first": False}, a="o.wave"), "l": node("louder", wave="s.value")}
    assert wrong(nodes) == [("input-missing", "l", "wave")]


def test_a_value_that_must_be_known_may_come_from_a_value_node() -> None:
    nodes = {**WAVES, "n": node("number", {"value": 3}), "r": node("repeat", wave="o.wave", times="n.value")}
    graph = built(nodes, {"w": "r.wave"})
    assert [name for name in graph.nodes if name.startswith("r")] == ["r/step0", "r/step1", "r/step2"]


def test_a_macro_node_is_replaced_by_its_nodes() -> None:
    graph = built({**WAVES, "r": node("repeat", wave="o.wave"), "l": node("louder", wave="r.wave")}, {"w": "l.wave"})
    assert links(graph)["r/step1"] == {"wave": "r/step0.wave"}
    assert links(graph)["l"] == {"wave": "r/step1.wave"}
    assert graph.nodes["r/step0"].origin == "r"


def test_a_macro_node_that_hands_on_its_input_disappears() -> None:
    nodes = {**WAVES, "r": node("repeat", {"times": 0}, wave="o.wave")}
    graph = built({**nodes, "q": node("repeat", {"times": 0}, wave="r.wave")}, {"w": "q.wave"})
    assert sorted(graph.nodes) == ["o", "p"]
    assert str(graph.outputs["w"]) == "o.wave"


def test_macro_nodes_can_not_grow_without_end() -> None:
    nodes = {**WAVES, "e": node("endless", wave="o.wave")}
    assert wrong(nodes, {"w": "e.wave"}) == [("expand-failed", "e", None)]
    many = document({**WAVES, "r": node("repeat", {"times": 200}, wave="o.wave")}, {"w": "r.wave"})
    found = check_workflow(many, registry(), max_nodes=100)
    assert places(found.errors) == [("too-many-nodes", "r", None)]


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("crash", ("expand-failed", "b", None)),
        ("value", ("expand-failed", "b", None)),
        ("stranger", ("node-type-unknown", "b", None)),
        ("wrong-type", ("link-node-missing", "b/louder", "wave")),
    ],
)
def test_a_macro_node_with_a_mistake_is_a_problem_and_no_traceback(fault: str, problem: Any) -> None:
    assert wrong({"b": node("broken", {"fault": fault})}, {"w": "b.wave"}) == [problem]


def test_a_chain_of_a_hundred_thousand_nodes_needs_no_recursion() -> None:
    wf = Workflow()
    wave = wf.add("n0", Oscillator()).out.wave
    for number in range(1, 100_000):
        wave = wf.add(f"n{number}", Louder(wave=wave)).out.wave
    wf.output("wave", wave)
    graph = check_workflow(wf, registry(), max_nodes=100_000).graph
    assert graph is not None
    assert list(graph.nodes)[-1] == "n99999"


def test_long_chains_of_switches_and_long_cycles_are_walked_once() -> None:
    count = 20_000
    chain = {f"s{number}": node("switch", a=f"s{number - 1}.value") for number in range(1, count)}
    assert wrong({**chain, "s0": node("switch", {"a": 1}), "o": node("oscillator", seed=f"s{count - 1}.value")}) == []
    (problem,) = checked({**chain, "s0": node("switch", a=f"s{count - 1}.value")}).errors
    assert problem.code == "cycle"
    assert len(problem.message) < 300
