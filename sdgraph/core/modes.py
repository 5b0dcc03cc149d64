"""Muted nodes are not run; bypassed nodes hand on what they were given."""

from __future__ import annotations

from collections.abc import Mapping

from sdgraph.core.check import OutputKinds
from sdgraph.core.graph import Graph, GraphNode
from sdgraph.core.port import PortRef
from sdgraph.core.porttype import accepts
from sdgraph.errors import Problem


def apply_modes(graph: Graph, modes: Mapping[str, str], problems: list[Problem]) -> None:
    """Take muted nodes out, with everything that can't run without them, and link around bypassed ones."""
    if not modes:
        return
    passed: dict[PortRef, PortRef | None] = {}
    gone: set[str] = set()
    for name, node in list(graph.nodes.items()):
        _relink(node, passed, problems)
        missing = [port for port, ref in node.links.items() if ref.node in gone]
        if modes.get(name) == "mute" or any(node.spec.inputs[port].required for port in missing):
            gone.add(name)
            del graph.nodes[name]
            continue
        for port in missing:
            del node.links[port]
            node.values[port] = node.spec.inputs[port].default
        if modes.get(name) == "bypass":
            passed.update(_pass_through(node, graph))
            del graph.nodes[name]
    _drop_outputs(graph, gone, passed, problems)


def _relink(node: GraphNode, passed: Mapping[PortRef, PortRef | None], problems: list[Problem]) -> None:
    for port, ref in list(node.links.items()):
        if ref not in passed:
            continue
        source = passed[ref]
        if source is not None:
            node.links[port] = source
            continue
        del node.links[port]
        node.values[port] = node.spec.inputs[port].default
        if node.spec.inputs[port].required:
            problems.append(
                Problem(
                    "bypass-impossible",
                    f"`{ref.node}` is bypassed, but none of its inputs can stand for its output `{ref.port}`.",
                    "Mute it, or connect the port to something else.",
                    node=node.id,
                    port=port,
                )
            )


def _pass_through(node: GraphNode, graph: Graph) -> dict[PortRef, PortRef | None]:
    kinds = OutputKinds(graph.nodes)
    return {
        PortRef(node.id, name): next(
            (ref for ref in node.links.values() if accepts(output.type_name, kinds.of(ref))), None
        )
        for name, output in node.spec.outputs.items()
    }


def _drop_outputs(
    graph: Graph, gone: set[str], passed: Mapping[PortRef, PortRef | None], problems: list[Problem]
) -> None:
    for name, ref in list(graph.outputs.items()):
        source = passed.get(ref, ref)
        if source is None or source.node in gone:
            del graph.outputs[name]
            problems.append(
                Problem(
                    "output-muted",
                    f"The output `{name}` is not made, because `{ref.node}` is muted or bypassed.",
                    node=ref.node,
                    severity="warning",
                )
            )
        else:
            graph.outputs[name] = source
