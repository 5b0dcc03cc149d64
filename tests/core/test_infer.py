"""What is certain about outputs before a run goes along the links, and combinations that can't work are refused."""

from tests.core.documents import checked, node, places, wrong

SUM = {"x": node("sampled"), "y": node("sampled", {"samples": 4}), "s": node("add_waves", a="x.wave", b="y.wave")}


def test_a_node_refuses_inputs_that_can_not_fit_before_anything_runs() -> None:
    assert wrong(SUM, {"w": "s.wave"}) == [("lengths-differ", "s", "b")]


def test_facts_go_through_nodes_that_hand_them_on() -> None:
    nodes = {
        **SUM,
        "y": node("sampled"),
        "t": node("add_waves", a="s.wave", b="z.wave"),
        "z": node("sampled", {"samples": 2}),
    }
    assert wrong(nodes, {"w": "t.wave"}) == [("lengths-differ", "t", "b")]


def test_what_is_not_known_is_not_refused() -> None:
    nodes = {**SUM, "y": node("louder", wave="u.wave"), "u": node("sampled", {"samples": 4})}
    assert wrong(nodes, {"w": "s.wave"}) == []


def test_a_value_can_be_refused_by_itself() -> None:
    assert wrong({"x": node("sampled", {"samples": 3})}, {"w": "x.wave"}) == [("odd-samples", "x", "samples")]


def test_all_refusals_are_reported_at_once() -> None:
    nodes = {**SUM, "v": node("sampled", {"samples": 5})}
    assert sorted(wrong(nodes, {"w": "s.wave", "v": "v.wave"})) == [
        ("lengths-differ", "s", "b"),
        ("odd-samples", "v", "samples"),
    ]


def test_a_node_that_expands_hands_facts_on_by_itself() -> None:
    nodes = {"x": node("sampled"), "t": node("twice", wave="x.wave"), "y": SUM["y"]}
    nodes["s"] = node("add_waves", a="t.wave", b="y.wave")
    assert wrong(nodes, {"w": "s.wave"}) == [("lengths-differ", "s", "b")]


def test_a_warning_stops_nothing() -> None:
    found = checked({"x": node("sampled", {"samples": 2000})}, {"w": "x.wave"})
    assert found.graph is not None
    assert places(found.problems) == [("many-samples", "x", "samples")]


def test_a_node_whose_code_fails_is_a_warning_and_nothing_more() -> None:
    found = checked({"x": node("sampled", {"samples": 13})}, {"w": "x.wave"})
    assert found.graph is not None
    assert places(found.problems) == [("infer-failed", "x", None)]
