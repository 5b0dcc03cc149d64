"""Laws of workflows: what does not matter, and what comes back as it was."""

import random
import string
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sdgraph.core.build import build_graph
from sdgraph.core.canonical import canonical
from sdgraph.core.codegen import to_python
from sdgraph.core.document import SCHEMA, WorkflowDocument, canonical_json, load_document, parse_document
from sdgraph.core.graph import Graph
from sdgraph.core.pngmeta import read_png_text, with_png_text
from sdgraph.core.workflow import Workflow
from tests.core.test_pngmeta import PIXEL
from tests.core.toys import Louder, Mix, Oscillator, registry

REGISTRY = registry()

ids = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=6).filter(lambda id: id[0] != "-")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(), parts, max_size=3),
    max_leaves=6,
)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Nodes of a sound workflow: each takes waves of earlier ones."""
    names = draw(st.lists(ids, min_size=1, max_size=7, unique=True))
    nodes: dict[str, dict[str, Any]] = {}
    for at, name in enumerate(names):
        earlier = st.sampled_from(names[:at]).map(lambda source: f"{source}.wave") if at else st.nothing()
        kind = draw(st.sampled_from(["oscillator", "louder", "mix"] if at else ["oscillator"]))
        ports = {"oscillator": [], "louder": ["wave"], "mix": ["first", "second"]}[kind]
        nodes[name] = {"type": f"toy.{kind}", "links": {port: draw(earlier) for port in ports}}
        if kind == "oscillator":
            nodes[name]["values"] = draw(st.fixed_dictionaries({}, optional={"seed": st.integers(0, 9) | st.none()}))
    return nodes


def _document(nodes: dict[str, dict[str, Any]], output: str, **parts: Any) -> WorkflowDocument:
    return load_document({"schema": SCHEMA, "nodes": nodes, "outputs": {"out": f"{output}.wave"}, **parts})


def _shape(graph: Graph) -> tuple[list[Any], dict[str, Any]]:
    """The graph without its names: each node as what it computes, from its sources' shapes."""
    shapes: dict[str, Any] = {}
    for name, node in graph.nodes.items():
        links = tuple(sorted((port, ref.port, shapes[ref.node]) for port, ref in node.links.items()))
        shapes[name] = hash((node.spec.type, tuple(sorted((port, repr(v)) for port, v in node.values.items())), links))
    return sorted(shapes.values()), {name: (shapes[ref.node], ref.port) for name, ref in graph.outputs.items()}


@given(graphs(), st.randoms(use_true_random=False))
def test_renaming_reordering_and_moving_nodes_keeps_the_graph(nodes: dict[str, Any], chance: random.Random) -> None:
    order = list(nodes)
    chance.shuffle(order)
    new = {name: f"n{number}" for number, name in enumerate(order)}

    def renamed(ref: str) -> str:
        node, _, port = ref.rpartition(".")
        return f"{new[node]}.{port}"

    other = {
        new[name]: {**nodes[name], "links": {port: renamed(ref) for port, ref in nodes[name]["links"].items()}}
        for name in order
    }
    last = list(nodes)[-1]
    moved = _document(other, new[last], view={new[last]: [3, 4]}, name="moved")
    assert _shape(build_graph(moved, REGISTRY)) == _shape(build_graph(_document(nodes, last), REGISTRY))


@given(graphs(), graphs(), st.data())
def test_a_subgraph_is_the_same_as_its_nodes_written_by_hand(
    outer: dict[str, Any], inner: dict[str, Any], data: st.DataObject
) -> None:
    source = data.draw(st.sampled_from(list(outer)))
    heads = [name for name, node in inner.items() if node["type"] == "toy.louder"]
    inputs = {"wave": [f"{name}.wave" for name in heads]} if heads else {}
    last = list(inner)[-1]
    stage = {"nodes": inner, "inputs": inputs, "outputs": {"wave": f"{last}.wave"}}
    use = {"type": "graph:stage", "links": {"wave": f"{source}.wave"} if heads else {}}
    with_use = _document(
        {**{f"o{name}": _prefixed(node, "o") for name, node in outer.items()}, "use": _prefixed(use, "o")},
        "use",
        graphs={"stage": stage},
    )
    by_hand = {f"o{name}": _prefixed(node, "o") for name, node in outer.items()}
    for name, node in inner.items():
        links = {"wave": f"o{source}.wave"} if name in heads else _prefixed(node, "i")["links"]
        by_hand[f"i{name}"] = {**node, "links": links}
    assert _shape(build_graph(with_use, REGISTRY)) == _shape(build_graph(_document(by_hand, f"i{last}"), REGISTRY))


def _prefixed(node: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {**node, "links": {port: prefix + ref for port, ref in node["links"].items()}}


@given(graphs(), st.dictionaries(ids, json_values, max_size=3), json_values)
def test_canonical_text_comes_back_byte_for_byte(nodes: dict[str, Any], values: dict[str, Any], view: Any) -> None:
    opaque = {"opaque-": {"type": "other.thing", "version": 4, "values": values}}
    text = canonical_json(_document({**nodes, **opaque}, next(iter(nodes)), view={"x": view}))
    again = parse_document(text)
    assert canonical_json(again) == text
    tidy = canonical(again, REGISTRY)
    assert canonical_json(canonical(tidy, REGISTRY)) == canonical_json(tidy)
    assert tidy.nodes["opaque-"] == again.nodes["opaque-"]


@given(graphs())
@settings(max_examples=40)
def test_exported_python_builds_the_same_document(nodes: dict[str, Any]) -> None:
    document = _document(nodes, list(nodes)[-1], inputs={"seed": [f"{name}.seed" for name in nodes]})
    names: dict[str, Any] = {}
    exec(to_python(document, REGISTRY), names)
    assert canonical_json(names["wf"].to_document()) == canonical_json(canonical(document, REGISTRY))


@given(graphs())
def test_a_workflow_written_in_python_is_the_same_through_its_file(nodes: dict[str, Any]) -> None:
    wf = Workflow()
    waves: dict[str, Any] = {}
    for name, node in nodes.items():
        sources = {port: waves[ref.removesuffix(".wave")] for port, ref in node["links"].items()}
        kind: Any = {"toy.oscillator": Oscillator, "toy.louder": Louder, "toy.mix": Mix}[node["type"]]
        waves[name] = wf.add(name, kind(**sources, **node.get("values", {}))).out.wave
    wf.output("out", waves[list(nodes)[-1]])
    direct, file = build_graph(wf, REGISTRY), build_graph(parse_document(canonical_json(wf.to_document())), REGISTRY)
    assert {name: (node.spec.type, node.values, node.links) for name, node in direct.nodes.items()} == {
        name: (node.spec.type, node.values, node.links) for name, node in file.nodes.items()
    }
    assert direct.outputs == file.outputs


@given(st.dictionaries(st.text(string.ascii_letters + ".", min_size=1, max_size=20), st.text(), max_size=4))
def test_text_in_a_picture_comes_back(texts: dict[str, str]) -> None:
    assert read_png_text(with_png_text(PIXEL, texts)) == texts


@given(st.binary(max_size=60), st.integers(0, len(PIXEL)))
def test_reading_a_damaged_picture_never_fails(rubbish: bytes, at: int) -> None:
    marked = with_png_text(PIXEL, {"a": "text", "b": "long " * 400})
    read_png_text(marked[:at] + rubbish + marked[at:])
    read_png_text(marked[: at + 40])
