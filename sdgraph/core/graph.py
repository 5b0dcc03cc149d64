"""A graph that can be planned: flat, checked, every value coerced, every link resolved."""

from __future__ import annotations

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


def topological_order(
    nodes: Mapping[str, GraphNode], dependencies: Callable[[GraphNode], Iterable[str]] | None = None
) -> tuple[list[str], list[str]]:
    """Node ids in an order in which links point backwards, and one cycle (empty if there is none).

    Kahn's algorithm; ties keep the order of `nodes`. Links to missing nodes are ignored.
    """
    waits = dict.fromkeys(nodes, 0)
    dependents: dict[str, list[str]] = {}
    for name, node in nodes.items():
        sources = {ref.node for ref in node.links.values()} if dependencies is None else set(dependencies(node))
        for source in sources:
            if source in waits:
                waits[name] += 1
                dependents.setdefault(source, []).append(name)
    order = [name for name, count in waits.items() if count == 0]
    for name in order:  # grows while it is walked
        for dependent in dependents.get(name, ()):
            waits[dependent] -= 1
            if waits[dependent] == 0:
                order.append(dependent)
    return order, [] if len(order) == len(nodes) else _find_cycle(nodes, waits)


def _find_cycle(nodes: Mapping[str, GraphNode], waits: Mapping[str, int]) -> list[str]:
    # Every node that still waits has a source that still waits, so walking upstream must meet itself.
    name = next(found for found, count in waits.items() if count)
    trail: dict[str, None] = {}
    while name not in trail:
        trail[name] = None
        name = next(ref.node for ref in nodes[name].links.values() if waits.get(ref.node))
    walked = list(trail)
    return walked[walked.index(name) :][::-1]
