"""Macro nodes: a node whose `expand` gives smaller ones is replaced by these, each cached on its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from sdgraph.core.check import input_value
from sdgraph.core.graph import Graph, GraphNode, topological_order
from sdgraph.core.kinds import OutputKinds
from sdgraph.core.links import LinkCheck, linkable_problems
from sdgraph.core.node import Outputs
from sdgraph.core.port import Link, PortRef
from sdgraph.core.registry import Registry
from sdgraph.core.spec import explain_validation
from sdgraph.core.workflow import Workflow, split_inputs
from sdgraph.errors import Problem, SdgraphError

_MAX_LEVELS = 16


def expand_nodes(graph: Graph, registry: Registry, problems: list[Problem], *, max_nodes: int) -> Graph:
    """Replace every node that expands into smaller ones by these, until none is left."""
    pending = [node for node in graph.nodes.values() if node.spec.has_expand]
    if not pending:
        return graph
    nodes = dict(graph.nodes)
    replaced: dict[PortRef, PortRef] = {}
    while pending:
        node = pending.pop()
        if node.id.count("/") - (node.origin or node.id).count("/") >= _MAX_LEVELS:
            problems.append(_failed(node, f"its macro nodes lie more than {_MAX_LEVELS} deep inside each other"))
            return graph
        inner = Workflow(prefix=node.id + "/")
        outputs = _expand(node, inner, problems)
        if outputs is None:
            continue
        del nodes[node.id]
        replaced.update({PortRef(node.id, name): link.ref for name, link in outputs.items()})
        for placed in _placed(node, inner, registry, problems):
            nodes[placed.id] = placed
            if placed.spec.has_expand:
                pending.append(placed)
        if len(nodes) > max_nodes:
            message = f"With its macro nodes expanded the workflow has more than {max_nodes:,} nodes."
            problems.append(
                Problem("too-many-nodes", message, "Ask this node for fewer stages.", node.origin or node.id)
            )
            return graph
    _redirect(nodes, graph.outputs, replaced)
    order, _ = topological_order(nodes)
    _check(nodes, graph.nodes, order, problems)
    return Graph({name: nodes[name] for name in order}, graph.outputs, graph.constants)


def _expand(node: GraphNode, inner: Workflow, problems: list[Problem]) -> dict[str, Link[Any]] | None:
    fields: dict[str, Any] = {**node.values, **{name: Link(*ref) for name, ref in node.links.items()}}
    place = node.origin or node.id
    try:
        outputs: Outputs | None = node.spec.construct(fields).expand(inner)
    except SdgraphError as error:
        problems.append(error.at(place))
        return None
    except Exception as error:  # a node's code may fail in any way
        said = explain_validation(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        problems.append(_failed(node, said))
        return None
    if outputs is None:
        return None
    links = {name: link for name, link in outputs.__dict__.items() if isinstance(link, Link)}
    if len(links) < len(node.spec.outputs):
        problems.append(_failed(node, "not all of its outputs are links"))
        return None
    return links


def _failed(node: GraphNode, said: str) -> Problem:
    message = f"`{node.id}` could not be expanded into smaller nodes: {said}."
    return Problem("expand-failed", message, f"Report it to the pack {node.spec.pack!r}.", node.origin or node.id)


def _placed(node: GraphNode, inner: Workflow, registry: Registry, problems: list[Problem]) -> list[GraphNode]:
    found: list[GraphNode] = []
    for name, part in inner.nodes.items():
        try:
            spec = registry.spec_of(type(part))
        except SdgraphError as error:
            problems.append(error.at(node.origin or node.id))
            continue
        values, links = split_inputs(part)
        coerced = {
            port: input_value(name, spec.inputs[port], value, problems) if spec.inputs[port].is_value else value
            for port, value in values.items()
        }
        found.append(GraphNode(name, spec, coerced, links, node.origin or node.id))
    return found


def _redirect(nodes: Mapping[str, GraphNode], outputs: dict[str, PortRef], replaced: Mapping[PortRef, PortRef]) -> None:
    def final(ref: PortRef) -> PortRef:
        while ref in replaced:
            ref = replaced[ref]
        return ref

    for node in nodes.values():
        if any(ref in replaced for ref in node.links.values()):
            node.links = {port: final(ref) for port, ref in node.links.items()}
    for name, ref in outputs.items():
        outputs[name] = final(ref)


def _check(
    nodes: Mapping[str, GraphNode], before: Mapping[str, GraphNode], order: list[str], problems: list[Problem]
) -> None:
    links = LinkCheck(nodes, OutputKinds(nodes, order))
    for name, node in nodes.items():
        if name not in before:
            found = list(links.problems(node))
            problems.extend(found or linkable_problems(node))
