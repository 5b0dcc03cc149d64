"""Subgraphs are unfolded before anything else, and can't be used to attack."""

import json
from pathlib import Path
from typing import Any

import pytest

from sdgraph.core.build import check_workflow
from sdgraph.core.document import canonical_json
from tests.core.documents import Place, built, data, document, links, node, places, wrong
from tests.core.toys import registry

STAGE = {
    "nodes": {"a": node("louder"), "b": node("louder", wave="a.wave")},
    "inputs": {"wave": "a.wave", "gain": ["a.gain", "b.gain"]},
    "outputs": {"wave": "b.wave"},
}


def _use(kind: str, values: dict[str, Any] | None = None, /, **links: str) -> dict[str, Any]:
    return {"type": f"graph:{kind}", "values": values or {}, "links": links}


def _nodes(**uses: dict[str, Any]) -> dict[str, Any]:
    return {"o": node("oscillator"), **uses}


def test_a_subgraph_is_replaced_by_its_nodes_with_links_and_values_given() -> None:
    graph = built(_nodes(s=_use("stage", {"gain": 5}, wave="o.wave")), {"w": "s.wave"}, graphs={"stage": STAGE})
    assert links(graph) == {"o": {}, "s/a": {"wave": "o.wave"}, "s/b": {"wave": "s/a.wave"}}
    assert [graph.nodes[name].values["gain"] for name in ("s/a", "s/b")] == [5.0, 5.0]
    assert str(graph.outputs["w"]) == "s/b.wave"


def test_the_workflows_inputs_reach_into_nested_subgraphs() -> None:
    outer = {
        "nodes": {"x": _use("stage"), "y": _use("stage", wave="x.wave")},
        "inputs": {"wave": "x.wave", "gain": ["x.gain", "y.gain"]},
        "outputs": {"wave": "y.wave"},
    }
    flat = document(
        _nodes(u=_use("outer", wave="o.wave")),
        {"w": "u.wave"},
        graphs={"stage": STAGE, "outer": outer},
        inputs={"gain": "u.gain"},
    )
    graph = check_workflow(flat, registry(), {"gain": 9}).graph
    assert graph is not None
    assert links(graph)["u/y/a"] == {"wave": "u/x/b.wave"}
    assert {found.values["gain"] for name, found in graph.nodes.items() if name != "o"} == {9.0}


SOUND = node("louder", wave="s.sound")


@pytest.mark.parametrize(
    ("nodes", "problems"),
    [
        (_nodes(s=_use("stages", wave="o.wave")), [("graph-unknown", "s", None)]),
        (_nodes(s=_use("stage")), [("input-missing", "s/a", "wave")]),
        (_nodes(s=_use("stage", {"loud": 1}, wave="o.wave")), [("input-unknown", "s", "loud")]),
        (_nodes(s=_use("stage", wave="o.wave"), l=SOUND), [("link-output-missing", "l", "wave")]),
        (_nodes(s=_use("missing"), l=node("louder", wave="s.wave")), [("graph-unknown", "s", None)]),
        (
            _nodes(s=_use("stage", {"gain": "x"}, wave="o.wave")),
            [("value-invalid", f"s/{name}", "gain") for name in "ab"],
        ),
        (
            _nodes(s=_use("stage", {"wave": 1}, wave="o.wave")),
            [("port-given-twice", "s", "wave"), ("port-needs-link", "s/a", "wave")],
        ),
    ],
)
def test_each_mistake_in_using_a_subgraph_has_its_code_and_place(nodes: Any, problems: list[Place]) -> None:
    assert wrong(nodes, graphs={"stage": STAGE}) == problems


def test_inputs_of_a_subgraph_that_lead_nowhere_are_problems() -> None:
    odd = {**STAGE, "inputs": {"wave": "a.wave", "x": "q.wave", "y": "a.volume"}}
    assert wrong(_nodes(s=_use("stage", wave="o.wave")), graphs={"stage": odd}) == [
        ("input-target-missing", "s", "y"),
        ("input-target-missing", "s", None),
    ]


def test_a_subgraph_can_not_contain_itself() -> None:
    ring = {"a": {"nodes": {"n": _use("b")}}, "b": {"nodes": {"n": _use("a")}}}
    assert wrong(_nodes(s=_use("a")), graphs=ring) == [("graph-uses-itself", "s/n/n", None)]


@pytest.mark.parametrize("leaf", [{}, {"n": node("number")}], ids=["empty", "full"])
def test_subgraphs_that_multiply_each_other_are_stopped(leaf: dict[str, Any]) -> None:
    levels = {f"g{level}": {"nodes": {f"n{at}": _use(f"g{level + 1}") for at in range(10)}} for level in range(20)}
    found = check_workflow(document({"x": _use("g0")}, graphs={**levels, "g20": {"nodes": leaf}}), registry())
    assert places(found.problems) == [("too-many-nodes", None, None)]


def test_a_large_interface_used_often_is_stopped() -> None:
    wide = {"nodes": {"n": node("number")}, "inputs": {f"i{at}": "n.value" for at in range(5_000)}}
    uses = {f"u{at}": _use("wide") for at in range(5_000)}
    assert places(check_workflow(document(uses, graphs={"wide": wide}), registry()).problems) == [
        ("too-many-nodes", None, None)
    ]


def test_subgraphs_can_not_be_stacked_without_end() -> None:
    levels = {f"g{level}": {"nodes": {"n": _use(f"g{level + 1}")}} for level in range(5_000)}
    assert [code for code, _, _ in wrong({"x": _use("g0")}, graphs={**levels, "g5000": {}})] == ["graph-too-deep"]


def _files(folder: Path, **files: dict[str, Any]) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".json").write_text(json.dumps({"schema": "sdgraph/workflow@1", **content}))


def test_a_file_beside_the_workflow_serves_as_subgraph_and_uses_its_own_neighbours(tmp_path: Path) -> None:
    relay = {"nodes": {"s": _use("stage.json")}, "inputs": {"wave": "s.wave"}, "outputs": {"wave": "s.wave"}}
    _files(tmp_path, parts__relay=relay, parts__stage=STAGE)
    flat = document(_nodes(u=_use("parts/relay.json", wave="o.wave")), {"w": "u.wave"})
    graph = check_workflow(flat, registry(), folder=tmp_path).graph
    assert graph is not None
    assert list(graph.nodes) == ["o", "u/s/a", "u/s/b"]


def test_a_file_used_twice_is_read_once(tmp_path: Path) -> None:
    _files(tmp_path, stage=STAGE)
    uses = {f"u{at}": _use("stage.json", wave="o.wave") for at in range(2_000)}
    graph = check_workflow(document(_nodes(**uses), {"w": "u0.wave"}), registry(), folder=tmp_path).graph
    assert graph is not None
    assert len(graph.nodes) == 4_001


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../secret.json", "graph-file-outside"),
        ("/etc/secret.json", "graph-file-outside"),
        ("link.json", "graph-file-outside"),
        ("circle.json", "workflow-unreadable"),
        ("nul\0.json", "workflow-unreadable"),
        ("missing.json", "workflow-unreadable"),
        ("broken.json", "not-json"),
        ("self.json", "graph-uses-itself"),
        ("x" * 180 + "/y.json", "workflow-unreadable"),
    ],
)
def test_only_sound_files_inside_the_folder_are_used(tmp_path: Path, name: str, code: str) -> None:
    folder = tmp_path / "workflows"
    _files(tmp_path, secret=STAGE)
    _files(folder, self={"nodes": {"n": _use("self.json")}})
    (folder / "link.json").symlink_to(tmp_path / "secret.json")
    (folder / "circle.json").symlink_to(folder / "circle.json")
    (folder / "broken.json").write_text("{")
    found = check_workflow(document({"s": _use(name)}), registry(), folder=folder)
    assert [problem.code for problem in found.errors] == [code]
    assert (found.errors[0].node or "").startswith("s")


def test_a_workflow_that_is_no_file_has_no_neighbours() -> None:
    assert wrong({"s": _use("stage.json")}) == [("graph-file-unknown", "s", None)]


def test_subgraphs_survive_saving() -> None:
    text = canonical_json(document(_nodes(s=_use("stage", wave="o.wave")), graphs={"stage": STAGE}))
    assert json.loads(text)["graphs"]["stage"]["inputs"] == STAGE["inputs"]
    assert data({})["schema"] in text
