"""Problems of nodes, values and links: each with its code, node and port, and all at once."""

import math
from typing import Any

import pytest

from sdgraph.core.build import build_graph, check_workflow
from sdgraph.core.workflow import Workflow
from sdgraph.errors import WorkflowError
from tests.core.documents import built, checked, document, node, places, wrong
from tests.core.toys import Oscillator, Shape, registry

WAVE = {"o": node("oscillator")}


def _value(port: str, value: Any) -> list[Any]:
    return wrong({"o": node("oscillator", {port: value})})


@pytest.mark.parametrize(
    ("port", "value"),
    [
        ("pitch_hz", "440"),
        ("pitch_hz", True),
        ("pitch_hz", None),
        ("steps", 8.0),
        ("steps", "8"),
        ("steps", []),
        ("name", 5),
        ("loud", 1),
        ("shape", "round"),
        ("quality", "finest"),
        ("envelope", [{"at": "x"}]),
        ("envelope", [{}]),
        ("envelope", {}),
        ("seed", "1"),
    ],
)
def test_a_value_of_the_wrong_type_is_a_problem_of_its_port(port: str, value: Any) -> None:
    assert _value(port, value) == [("value-invalid", "o", port)]


@pytest.mark.parametrize(
    ("port", "value"),
    [("pitch_hz", 0), ("pitch_hz", 1e300), ("steps", 0), ("steps", 10), ("name", "x" * 21), ("seed", 2**64)],
)
def test_a_value_out_of_range_is_a_problem_of_its_port(port: str, value: Any) -> None:
    assert _value(port, value) == [("value-out-of-range", "o", port)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_a_problem_however_it_came_in(value: float) -> None:
    wf = Workflow()
    o = wf.add("o", Oscillator(pitch_hz=value))
    wf.output("wave", o.out.wave)
    assert places(check_workflow(wf, registry()).errors) == [("value-not-finite", "o", "pitch_hz")]
    exposed = document(WAVE, {"wave": "o.wave"}, inputs={"envelope": "o.envelope"})
    found = check_workflow(exposed, registry(), {"envelope": [{"at": value}]})
    assert places(found.errors) == [("value-not-finite", "o", "envelope")]


def test_values_that_fit_are_coerced_as_the_node_will_see_them() -> None:
    values = {"pitch_hz": 5, "shape": "square", "envelope": [{"at": 1}], "seed": 2**64 - 1}
    seen = built({"o": node("oscillator", values)}, {"w": "o.wave"}).nodes["o"].values
    assert (seen["pitch_hz"], type(seen["pitch_hz"])) == (5.0, float)
    assert seen["shape"] is Shape.SQUARE
    assert seen["envelope"][0].level == 1.0
    assert seen["seed"] == 2**64 - 1


def test_a_default_and_the_same_value_typed_in_are_the_same() -> None:
    typed = built({"o": node("oscillator", {"pitch_hz": 440})}, {"w": "o.wave"}).nodes["o"].values
    default = built(WAVE, {"w": "o.wave"}).nodes["o"].values
    assert typed == default
    assert type(typed["pitch_hz"]) is type(default["pitch_hz"])


def test_the_message_says_what_is_allowed_and_what_was_found() -> None:
    (problem,) = checked({"o": node("oscillator", {"steps": 10})}).errors
    assert str(problem) == (
        "`o.steps`: The value does not fit: input should be a multiple of 4, found 10. "
        "Allowed: Int, at least 1, a multiple of 4. [value-out-of-range]"
    )


def test_a_link_of_the_wrong_type_names_both_types_and_an_output_that_fits() -> None:
    nodes = {**WAVE, "d": node("draw", wave="o.wave"), "l": node("louder", wave="d.paint")}
    (problem,) = checked(nodes).errors
    assert (problem.code, problem.node, problem.port) == ("port-type-mismatch", "l", "wave")
    assert str(problem) == (
        "`l.wave` expects Wave, but `d.paint` gives Paint. "
        "Connect an output of type Wave, for example `o.wave`. [port-type-mismatch]"
    )


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [
        ({"x": node("oscilator")}, ("node-type-unknown", "x", None)),
        ({"x": {"type": "toy.oscillator", "version": 2}}, ("node-version-newer", "x", None)),
        ({"x": node("oscillator", {"pich_hz": 1})}, ("port-unknown", "x", "pich_hz")),
        ({**WAVE, "x": node("oscillator", w="o.wave")}, ("port-unknown", "x", "w")),
        ({"x": node("louder")}, ("input-missing", "x", "wave")),
        ({"x": node("louder", {"wave": 3})}, ("port-needs-link", "x", "wave")),
        ({**WAVE, "x": node("louder", {"wave": 3}, wave="o.wave")}, ("port-given-twice", "x", "wave")),
        ({"x": node("louder", wave="oo.wave")}, ("link-node-missing", "x", "wave")),
        ({**WAVE, "x": node("louder", wave="o.waves")}, ("link-output-missing", "x", "wave")),
        ({"x": node("louder", wave="x.wave")}, ("cycle", "x", None)),
        (
            {**WAVE, "m": node("measure", wave="o.wave"), "x": node("repeat", wave="o.wave", times="m.value")},
            ("port-not-linkable", "x", "times"),
        ),
    ],
)
def test_each_mistake_in_a_node_has_its_code_and_place(nodes: dict[str, Any], problem: Any) -> None:
    assert wrong(nodes) == [problem]


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"outputs": {"w": "q.wave"}}, ("link-node-missing", None, "w")),
        ({"outputs": {"w": "o.sound"}}, ("link-output-missing", None, "w")),
        ({"inputs": {"w": "q.wave"}}, ("input-target-missing", None, None)),
        ({"inputs": {"w": ["o.seed", "o.sead"]}}, ("input-target-missing", "o", "sead")),
    ],
)
def test_each_mistake_in_inputs_and_outputs_has_its_code(parts: dict[str, Any], problem: Any) -> None:
    assert wrong(WAVE, **parts) == [problem]


def test_unknown_inputs_are_named_with_those_that_exist() -> None:
    exposed = document(WAVE, {"w": "o.wave"}, inputs={"pitch": "o.pitch_hz"})
    with pytest.raises(WorkflowError, match="The inputs are: pitch") as caught:
        build_graph(exposed, registry(), {"peach": 1, "plum": 2})
    assert places(caught.value.problems) == [("input-unknown", None, "peach"), ("input-unknown", None, "plum")]


def test_all_problems_of_a_workflow_are_reported_at_once() -> None:
    nodes = {
        "a": node("oscilator"),
        "b": node("oscillator", {"steps": 10, "pitch_hz": "x"}),
        "c": node("louder", wave="d.wave"),
        "d": node("louder", wave="c.wave"),
        "e": node("louder", wave="f.wave"),
        "f": node("louder", wave="e.wave"),
        "g": node("mix", first="a.wave"),
    }
    assert wrong(nodes, {"x": "z.wave"}) == [
        ("cycle", "c", None),
        ("cycle", "e", None),
        ("input-missing", "g", "second"),
        ("link-node-missing", None, "x"),
        ("node-type-unknown", "a", None),
        ("value-invalid", "b", "pitch_hz"),
        ("value-out-of-range", "b", "steps"),
    ]


def test_one_value_reaches_all_ports_of_an_input_and_replaces_a_link() -> None:
    exposed = document(
        {**WAVE, "n": node("number", {"value": 3}), "p": node("oscillator", seed="n.value")},
        {"w": "o.wave", "v": "p.wave"},
        inputs={"seed": ["o.seed", "p.seed"]},
    )
    without = build_graph(exposed, registry())
    assert (without.nodes["o"].values["seed"], without.nodes["p"].values["seed"]) == (None, 3)
    given = build_graph(exposed, registry(), {"seed": 7})
    assert (given.nodes["o"].values["seed"], given.nodes["p"].values["seed"]) == (7, 7)


def test_a_generic_output_has_the_type_of_what_feeds_it() -> None:
    chain = {**WAVE, "s": node("switch", a="o.wave"), "t": node("switch", a="s.value")}
    built({**chain, "l": node("louder", wave="t.value")}, {"w": "l.wave"})
    nodes = {**chain, "d": node("draw", wave="o.wave"), "u": node("switch", a="d.paint")}
    assert wrong({**nodes, "l": node("louder", wave="u.value")}) == [("port-type-mismatch", "l", "wave")]
    assert wrong({**nodes, "l": node("oscillator", pitch_hz="t.value")}) == [("port-type-mismatch", "l", "pitch_hz")]


def test_inputs_of_a_generic_node_must_agree() -> None:
    nodes = {**WAVE, "d": node("draw", wave="o.wave"), "s": node("switch", a="o.wave", b="d.paint")}
    assert wrong(nodes) == [("port-types-differ", "s", "b")]
    assert wrong({**WAVE, "s": node("switch", {"a": 5}, b="o.wave")}) == [("port-types-differ", "s", "b")]
    assert wrong({"s": node("switch", {"a": 5, "b": 0.5})}) == []


def test_an_older_node_is_upgraded_with_a_warning() -> None:
    nodes = {**WAVE, "l": {**node("louder", {"amount": 3}, wave="o.wave"), "version": 1}}
    found = checked(nodes, {"w": "l.wave"})
    assert places(found.problems) == [("node-version-older", "l", None)]
    assert found.graph is not None
    assert found.graph.nodes["l"].values["gain"] == 3.0


def test_a_workflow_that_would_do_nothing_and_an_unused_subgraph_are_warnings() -> None:
    found = checked(WAVE, graphs={"g": {}})
    assert found.graph is not None
    assert places(found.problems) == [("graph-unused", None, None), ("nothing-to-run", None, None)]
