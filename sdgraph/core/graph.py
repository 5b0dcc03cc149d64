"""A graph that can be planned: flat, checked, every value coerced, every link resolved."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sdgraph.core.port import PortRef
from sdgraph.core.spec import NodeSpec


@dataclass(slots=True)
class GraphNode:
    """A node with all its plain values (defaults included) and its links."""

    id: str
    spec: NodeSpec
    values: dict[str, Any]
    links: dict[str, PortRef]
    origin: str = ""
    """Id of the node in the file that this one came from, when a node was expanded."""


@dataclass(slots=True)
class Graph:
    """Nodes in topological order, and the named outputs of the workflow."""

    nodes: dict[str, GraphNode]
    outputs: dict[str, PortRef] = field(default_factory=dict[str, PortRef])
    constants: dict[str, Any] = field(default_factory=dict[str, Any])
    """Outputs that are plain values known before the run."""


def share_refs(graph: Graph) -> None:
    """Make equal links one object each, whose node id is the very key of `nodes`.

    Large graphs need less memory that way, and looking a link's node up finds the key by identity.
    """
    ids = {name: name for name in graph.nodes}
    refs: dict[PortRef, PortRef] = {}
    for links in (*(node.links for node in graph.nodes.values()), graph.outputs):
        for name, ref in links.items():
            if ref not in refs:
                refs[ref] = PortRef(ids[ref.node], sys.intern(ref.port))
            links[name] = refs[ref]


Dependencies = Callable[[GraphNode], Iterable[str]]


def topological_order(
    nodes: Mapping[str, GraphNode], dependencies: Dependencies | None = None
) -> tuple[list[str], list[str]]:
    """Node ids in an order in which links point backwards, and one cycle (empty if there is none).

    Kahn's algorithm; ties keep the order of `nodes`. Links to missing nodes are ignored.
    """
    sources_of = dependencies or linked_nodes
    waits = dict.fromkeys(nodes, 0)
    dependents: dict[str, list[str]] = {}
    for name, node in nodes.items():
        for source in set(sources_of(node)):
            if source in waits:
                waits[name] += 1
                dependents.setdefault(source, []).append(name)
    order = [name for name, count in waits.items() if count == 0]
    for name in order:  # grows while it is walked
        for dependent in dependents.get(name, ()):
            waits[dependent] -= 1
            if waits[dependent] == 0:
                order.append(dependent)
    return order, [] if len(order) == len(nodes) else find_cycles(nodes, order, sources_of)[0]


def linked_nodes(node: GraphNode) -> list[str]:
    """Ids of the nodes whose outputs feed this one."""
    return [ref.node for ref in node.links.values()]


def find_cycles(
    nodes: Mapping[str, GraphNode], order: Iterable[str], sources_of: Dependencies = linked_nodes
) -> list[list[str]]:
    """Cycles that share no node, given the nodes that could be ordered; at least one if any node is left over.

    Every node that still waits has a source that still waits, so walking upstream must meet itself.
    """
    waiting = dict.fromkeys(nodes)
    for name in order:
        del waiting[name]
    cycles: list[list[str]] = []
    seen: set[str] = set()
    for name in waiting:
        trail: dict[str, None] = {}
        while name not in seen and name not in trail:
            trail[name] = None
            name = next(source for source in sources_of(nodes[name]) if source in waiting)
        if name in trail:
            walk = list(trail)
            first, *others = walk[walk.index(name) :]
            cycles.append([first, *reversed(others)])
        seen.update(trail)
    return cycles
