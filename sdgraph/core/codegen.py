"""A workflow as Python source: the code that somebody would write to build it.

Running the code leaves the workflow in `wf`; `wf.to_document()` is the document again, in canonical form. All of a
file is carried: subgraphs, inputs, outputs, labels, modes and the editor's view. Nodes whose type is unknown here, or
whose values do not fit, are placed by their type id with `wf.use(...)`.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from textwrap import indent

from sdgraph.core.canonical import canonical, coerced, known_spec
from sdgraph.core.entries import GraphEntry, NodeEntry, WorkflowDocument, parse_ref, targets_of
from sdgraph.core.literals import Imports, bracketed, call, literal, quoted
from sdgraph.core.port import Link, PortRef
from sdgraph.core.registry import Registry
from sdgraph.core.spec import NodeSpec
from sdgraph.core.workflow import Workflow

_TAKEN = ("wf", "Workflow", "Link")


def to_python(document: WorkflowDocument, registry: Registry) -> str:
    """Python source that builds the workflow."""
    document = canonical(document, registry)
    imports = Imports()
    parts = [_subgraph(name, graph, registry, imports) for name, graph in sorted(document.graphs.items())]
    texts = [document.name, document.description] if document.description else [document.name] if document.name else []
    lines = [f"wf = {call(imports.name(Workflow), [literal(text, imports) for text in texts])}"]
    lines += [f"wf.graph({quoted(name)}, {_function(name)}())" for name in sorted(document.graphs)]
    lines += _body(document, registry, imports)
    if document.view:
        lines.append(f"wf.view = {literal(document.view, imports)}")
    return "\n\n\n".join((f"{imports}", *parts, "\n".join(lines))) + "\n"


def _subgraph(name: str, graph: GraphEntry, registry: Registry, imports: Imports) -> str:
    workflow = imports.name(Workflow)
    lines = [f"wf = {workflow}()", *_body(graph, registry, imports), "return wf"]
    return f"def {_function(name)}() -> {workflow}:\n" + indent("\n".join(lines), "    ")


def _function(name: str) -> str:
    # Hyphens become "_", so different names must stay different: "a-b" and "a_b".
    return "graph_" + re.sub(r"[^A-Za-z0-9]", lambda found: "_" if found[0] == "_" else "_h_", name)


def _body(graph: GraphEntry, registry: Registry, imports: Imports) -> list[str]:
    """Lines that place the nodes, sources first, and name the inputs and outputs."""
    order = _sources_first(graph.nodes)
    specs = {name: _spec(graph.nodes[name], registry) for name in order}
    for spec in specs.values():
        if spec is not None:
            imports.name(spec.cls)  # before variables are named: a class keeps its name, a variable can yield
    variables = _variables(order)
    body = _Body(specs, variables, imports)
    lines = [body.place(name, graph.nodes[name]) for name in order]
    for name, targets in sorted(graph.inputs.items()):
        ports = [f"({variables.get(ref.node, quoted(ref.node))}, {quoted(ref.port)})" for ref in targets_of(targets)]
        lines.append(call("wf.input", [quoted(name), *ports]))
    for name, text in sorted(graph.outputs.items()):
        lines.append(call("wf.output", [quoted(name), body.link(parse_ref(text))]))
    return lines


class _Body:
    """Writes the nodes of one graph; remembers which variables exist already."""

    def __init__(self, specs: Mapping[str, NodeSpec | None], variables: Mapping[str, str], imports: Imports) -> None:
        self._specs = specs
        self._variables = variables
        self._imports = imports
        self._placed: set[str] = set()

    def place(self, name: str, entry: NodeEntry) -> str:
        """The line that places a node."""
        looks = [f"{key}={quoted(part)}" for key, part in (("label", entry.label), ("mode", entry.mode)) if part]
        spec = self._specs[name]
        if spec is not None:
            made = call("wf.add", [quoted(name), self._construct(spec, entry), *looks])
        else:
            version = [f"version={entry.version}"] if entry.version is not None else []
            made = call("wf.use", [quoted(name), quoted(entry.type), *self._given(entry), *version, *looks])
        self._placed.add(name)
        return f"{self._variables[name]} = {made}"

    def link(self, ref: PortRef) -> str:
        """An expression for another node's output."""
        if ref.node in self._placed and ref.port.isidentifier() and not keyword.iskeyword(ref.port):
            spec = self._specs[ref.node]
            if (ref.port in spec.outputs) if spec is not None else not ref.port.startswith("__"):
                return f"{self._variables[ref.node]}.out.{ref.port}"
        return f"{self._imports.name(Link)}({quoted(ref.node)}, {quoted(ref.port)})"

    def _construct(self, spec: NodeSpec, entry: NodeEntry) -> str:
        values = {port: spec.inputs[port].coerce(value) for port, value in entry.values.items()}
        links = {port: parse_ref(text) for port, text in entry.links.items()}
        given = [
            f"{port}={self.link(links[port]) if port in links else literal(values[port], self._imports)}"
            for port in spec.inputs
            if port in links or port in values
        ]
        return call(self._imports.name(spec.cls), given)

    def _given(self, entry: NodeEntry) -> list[str]:
        parts = [f"{quoted(port)}: {literal(value, self._imports)}" for port, value in sorted(entry.values.items())]
        parts += [f"{quoted(port)}: {self.link(parse_ref(text))}" for port, text in sorted(entry.links.items())]
        return [bracketed("{", parts, "}")] if parts else []


def _spec(entry: NodeEntry, registry: Registry) -> NodeSpec | None:
    """The node's spec if its class can be constructed with what the entry gives."""
    spec = known_spec(entry, registry)
    if spec is None or entry.values.keys() & entry.links.keys() or entry.version != spec.version:
        return None
    given = entry.values.keys() | entry.links.keys()
    fits = given <= spec.inputs.keys() and all(not port.required or name in given for name, port in spec.inputs.items())
    fits = fits and all(coerced(spec.inputs[name], value)[0] for name, value in entry.values.items())
    return spec if fits and "<locals>" not in spec.cls.__qualname__ else None


def _sources_first(nodes: Mapping[str, NodeEntry]) -> list[str]:
    """Node ids with sources before their readers, otherwise by name; what waits in a circle comes last."""
    waits = {
        name: {ref.node for text in nodes[name].links.values() if (ref := parse_ref(text)).node in nodes}
        for name in sorted(nodes)
    }
    readers: dict[str, list[str]] = {}
    for name, sources in waits.items():
        for source in sources:
            readers.setdefault(source, []).append(name)
    order = [name for name, sources in waits.items() if not sources]
    for name in order:  # grows while it is walked
        for reader in readers.get(name, ()):
            waits[reader].discard(name)
            if not waits[reader]:
                order.append(reader)
    placed = set(order)
    return order + [name for name in waits if name not in placed]


def _variables(ids: list[str]) -> dict[str, str]:
    """A variable for each node: its id where that is an identifier that nothing else needs."""
    names: dict[str, str] = {}
    used: set[str] = set(_TAKEN)
    for id in ids:
        name = base = _identifier(id)
        number = 2
        while name in used:
            name, number = f"{base}_{number}", number + 1
        used.add(name)
        names[id] = name
    return names


def _identifier(id: str) -> str:
    # Lower case: a variable must not hide a class, whose name starts with a capital.
    name = id.replace("-", "_").lower()
    name = f"node_{name}" if not name.isidentifier() or name.startswith(("_", "graph_")) else name
    return f"{name}_" if keyword.iskeyword(name) or keyword.issoftkeyword(name) else name
