"""One way to write each workflow: what `sdgraph check --fix` saves."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from sdgraph.core.entries import GraphEntry, NodeEntry, Targets, WorkflowDocument, parse_ref
from sdgraph.core.form import not_finite
from sdgraph.core.migrate import upgraded_inputs
from sdgraph.core.port import PortRef
from sdgraph.core.registry import Registry
from sdgraph.core.spec import InputSpec, NodeSpec


def canonical(document: WorkflowDocument, registry: Registry) -> WorkflowDocument:
    """The same workflow without values that equal their port's default, and with known nodes at their current version.

    Nodes of unknown types and of newer versions, and values that do not fit their port, stay as they are.
    """
    graphs = {name: _canonical_graph(graph, registry) for name, graph in document.graphs.items()}
    graph = _canonical_graph(document, registry)
    return document.model_copy(
        update={"nodes": graph.nodes, "inputs": graph.inputs, "outputs": graph.outputs, "graphs": graphs}
    )


def known_spec(entry: NodeEntry, registry: Registry) -> NodeSpec | None:
    """The spec of the node's type, unless it is unknown or older than the node."""
    spec = registry.specs.get(entry.type)
    return None if spec is None or (entry.version or 0) > spec.version else spec


def coerced(port: InputSpec, value: Any) -> tuple[bool, Any]:
    """Whether the value fits the port, and the value as the node will see it."""
    if not port.is_value or not_finite(value):
        return False, None
    try:
        return True, port.coerce(value)
    except ValidationError:
        return False, None


def _canonical_graph(graph: GraphEntry, registry: Registry) -> GraphEntry:
    return GraphEntry(
        nodes={name: _canonical_node(name, entry, registry) for name, entry in graph.nodes.items()},
        inputs={name: _single(targets) for name, targets in graph.inputs.items()},
        outputs=graph.outputs,
    )


def _single(targets: Targets) -> Targets:
    return targets[0] if isinstance(targets, list) and len(targets) == 1 else targets


def _canonical_node(name: str, entry: NodeEntry, registry: Registry) -> NodeEntry:
    spec = known_spec(entry, registry)
    if spec is None:
        return entry
    inputs = {**entry.values, **{port: parse_ref(text) for port, text in entry.links.items()}}
    if entry.values.keys() & entry.links.keys():
        return entry
    if entry.version is not None and entry.version < spec.version:
        inputs, problem = upgraded_inputs(name, entry.version, inputs, spec)
        if problem is not None:
            return entry
    values = {port: value for port, value in inputs.items() if not isinstance(value, PortRef)}
    return NodeEntry(
        type=entry.type,
        version=spec.version,
        values=dict(_kept(spec, port, value) for port, value in values.items() if not _left_out(spec, port, value)),
        links={port: str(ref) for port, ref in inputs.items() if isinstance(ref, PortRef)},
        label=entry.label or None,
        mode=entry.mode,
    )


def _left_out(spec: NodeSpec, port: str, value: Any) -> bool:
    found = spec.inputs.get(port)
    if found is None:
        return False
    fits, seen = coerced(found, value)
    return (fits and found.is_default(seen)) or (value is None and not found.is_value and found.optional)


def _kept(spec: NodeSpec, port: str, value: Any) -> tuple[str, Any]:
    found = spec.inputs.get(port)
    fits, seen = coerced(found, value) if found is not None else (False, None)
    return port, found.to_json(seen) if found is not None and fits else value
