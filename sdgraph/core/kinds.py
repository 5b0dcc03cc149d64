"""Types of outputs, generic ones resolved: an output of type Any has the type of what feeds the node's Any inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sdgraph.core.graph import GraphNode
from sdgraph.core.port import PortRef
from sdgraph.core.porttype import ANY, accepts, value_type_name
from sdgraph.errors import Problem

_PLAIN = (bool, int, float, str)


class OutputKinds:
    """The type name of every output of these nodes.

    A node with an output of type Any (a switch) is generic in one type: all that feeds its Any inputs must agree.
    `order` lists the nodes with links pointing backwards; nodes outside it (a cycle) stay Any.
    """

    def __init__(self, nodes: Mapping[str, GraphNode], order: Iterable[str] | None = None) -> None:
        self._nodes = nodes
        self._generic: dict[str, str] = {}
        self.problems: list[Problem] = []
        for name in nodes if order is None else order:
            if nodes[name].spec.is_generic:
                self._generic[name] = self._join(nodes[name])

    def of(self, ref: PortRef) -> str:
        """The type name of an output that exists."""
        kind = self._nodes[ref.node].spec.outputs[ref.port].type_name
        return self._generic.get(ref.node, ANY) if kind == ANY else kind

    def _join(self, node: GraphNode) -> str:
        joined, first = ANY, ""
        for port, kind in self._feeding(node):
            if joined == ANY:
                joined, first = kind, port
            elif accepts(kind, joined):
                joined = kind
            elif not accepts(joined, kind):
                self.problems.append(
                    Problem(
                        "port-types-differ",
                        f"`{node.id}.{port}` is given {kind}, but `{node.id}.{first}` is given {joined}; "
                        "the node's output would have no type.",
                        "Feed both from outputs of one type.",
                        node.id,
                        port,
                    )
                )
        return joined

    def _feeding(self, node: GraphNode) -> Iterator[tuple[str, str]]:
        for port in node.spec.inputs.values():
            if port.type_name != ANY:
                continue
            ref = node.links.get(port.name)
            if ref is not None:
                kind = self.of(ref) if self._exists(ref) else ANY
            else:
                value = node.values.get(port.name)
                kind = value_type_name(type(value)) if isinstance(value, _PLAIN) else ANY
            if kind != ANY:
                yield port.name, kind

    def _exists(self, ref: PortRef) -> bool:
        return ref.node in self._nodes and ref.port in self._nodes[ref.node].spec.outputs
