"""Muted nodes are not run, bypassed nodes hand on what they were given."""

from typing import Any

from tests.core.documents import built, checked, links, node, places, wrong

CHAIN: dict[str, Any] = {
    "o": node("oscillator"),
    "l": node("louder", wave="o.wave"),
    "d": node("draw", wave="l.wave"),
}


def _with(name: str, mode: str, nodes: dict[str, Any] = CHAIN) -> dict[str, Any]:
    return {**nodes, name: {**nodes[name], "mode": mode}}


def test_a_muted_node_takes_along_what_can_not_run_without_it() -> None:
    found = checked(_with("l", "mute"), {"wave": "o.wave", "paint": "d.paint"})
    assert found.graph is not None
    assert links(found.graph) == {"o": {}}
    assert list(found.graph.outputs) == ["wave"]
    assert places(found.problems) == [("output-muted", "d", None)]


def test_a_muted_node_leaves_readers_that_can_do_without() -> None:
    nodes = {**CHAIN, "m": node("mix", first="o.wave", second="o.wave", mask="l.wave")}
    graph = built(_with("l", "mute", nodes), {"wave": "m.wave"})
    assert links(graph)["m"] == {"first": "o.wave", "second": "o.wave"}
    assert graph.nodes["m"].values["mask"] is None


def test_a_muted_node_may_be_unfinished() -> None:
    assert wrong({"o": node("oscillator"), "x": {**node("mix"), "mode": "mute"}}, {"w": "o.wave"}) == []


def test_a_bypassed_node_is_linked_around() -> None:
    graph = built(_with("l", "bypass"), {"paint": "d.paint", "wave": "l.wave"})
    assert links(graph) == {"o": {}, "d": {"wave": "o.wave"}}
    assert str(graph.outputs["wave"]) == "o.wave"


def test_bypassing_takes_the_first_fitting_input_as_declared_not_as_written() -> None:
    two = {"o": node("oscillator"), "p": node("oscillator")}
    for written in ({"first": "o.wave", "second": "p.wave"}, {"second": "p.wave", "first": "o.wave"}):
        graph = built({**two, "m": {**node("mix", **written), "mode": "bypass"}}, {"wave": "m.wave"})
        assert str(graph.outputs["wave"]) == "p.wave"


def test_a_chain_of_bypassed_nodes_is_linked_around() -> None:
    nodes = {**CHAIN, "k": node("louder", wave="l.wave"), "d": node("draw", wave="k.wave")}
    graph = built(_with("k", "bypass", _with("l", "bypass", nodes)), {"paint": "d.paint"})
    assert links(graph)["d"] == {"wave": "o.wave"}


def test_a_bypass_without_a_fitting_input_is_a_problem_of_the_reader() -> None:
    assert wrong(_with("o", "bypass")) == [("bypass-impossible", "l", "wave")]


def test_a_bypassed_node_behind_a_muted_one_is_gone_too() -> None:
    found = checked(_with("l", "bypass", _with("o", "mute")), {"paint": "d.paint"})
    assert found.graph is not None
    assert found.graph.nodes == {}
    assert places(found.problems) == [("nothing-to-run", None, None), ("output-muted", "d", None)]


STAGE = {
    "nodes": {"a": node("louder"), "d": node("draw", wave="a.wave")},
    "inputs": {"wave": "a.wave", "gain": "a.gain"},
    "outputs": {"wave": "a.wave", "paint": "d.paint"},
}


def _stage(mode: str) -> dict[str, Any]:
    use = {"type": "graph:stage", "links": {"wave": "o.wave"}, "values": {"gain": 3}, "mode": mode}
    return {"o": node("oscillator"), "s": use, "l": node("louder", wave="s.wave")}


def test_a_bypassed_subgraph_is_linked_around() -> None:
    graph = built(_stage("bypass"), {"wave": "l.wave"}, graphs={"stage": STAGE})
    assert links(graph) == {"o": {}, "l": {"wave": "o.wave"}}


def test_a_bypassed_subgraph_gives_nothing_of_another_type() -> None:
    found = checked(_stage("bypass"), {"paint": "s.paint", "wave": "l.wave"}, graphs={"stage": STAGE})
    assert places(found.problems) == [("output-muted", "s", None)]


def test_a_bypassed_subgraph_finds_types_through_inner_subgraphs() -> None:
    outer = {
        "nodes": {"u": {"type": "graph:stage"}},
        "inputs": {"wave": "u.wave", "gain": "u.gain"},
        "outputs": {"wave": "u.wave"},
    }
    nodes = _stage("bypass")
    nodes["s"]["type"] = "graph:outer"
    assert links(built(nodes, {"wave": "l.wave"}, graphs={"stage": STAGE, "outer": outer}))["l"] == {"wave": "o.wave"}


def test_a_muted_subgraph_is_gone_with_all_its_nodes() -> None:
    graph = built(_stage("mute"), {"wave": "o.wave"}, graphs={"stage": STAGE})
    assert links(graph) == {"o": {}}
