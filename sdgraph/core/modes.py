"""Muted nodes are not run; bypassed nodes hand on what they were given."""

from __future__ import annotations

from collections.abc import Mapping

from sdgraph.core.graph import Graph, GraphNode
from sdgraph.core.port import PortRef
from sdgraph.core.porttype import ANY, accepts
from sdgraph.core.spec import OutputSpec
from sdgraph.errors import Problem


def apply_modes(graph: Graph, modes: Mapping[str, str], problems: list[Problem]) -> None:
    """Take muted nodes out, with everything that can't run without them, and link around bypassed ones."""
    if not modes:
        return
    passed: dict[PortRef, PortRef | None] = {}
    gone: set[str] = set()
    for name, node in list(graph.nodes.items()):
        mode = modes.get(name)
        missing = [port for port, ref in node.links.items() if ref.node in gone]
        _relink(node, passed, gone, [] if mode else problems)
        through = {output.name: _passed(node, output) for output in node.spec.outputs.values()} if mode else {}
        if mode == "bypass" and not (missing and None in through.values()):
            passed.update({PortRef(name, port): source for port, source in through.items()})
            del graph.nodes[name]
        elif mode or any(node.spec.inputs[port].required for port in missing):
            gone.add(name)
            del graph.nodes[name]
    _drop_outputs(graph, gone, passed, problems)


def _relink(node: GraphNode, passed: Mapping[PortRef, PortRef | None], gone: set[str], problems: list[Problem]) -> None:
    for port, ref in list(node.links.items()):
        source = passed.get(ref, ref)
        if source is not None and ref.node not in gone:
            node.links[port] = source
            continue
        found = node.spec.inputs[port]
        del node.links[port]
        node.values[port] = found.default
        if found.required and ref.node not in gone:
            problems.append(
                Problem(
                    "bypass-impossible",
                    f"`{ref.node}` is bypassed, but none of its linked inputs can stand for its output `{ref.port}`.",
                    "Mute it, or connect the port to something else.",
                    node.id,
                    port,
                )
            )


def _passed(node: GraphNode, output: OutputSpec) -> PortRef | None:
    """What stands for a bypassed output: the input of the same name, else the first whose type fits, as declared."""
    fitting = {
        port.name: node.links[port.name]
        for port in node.spec.inputs.values()
        if port.name in node.links and _fits(output.type_name, port.type_name)
    }
    return fitting.get(output.name) or next(iter(fitting.values()), None)


def _fits(wanted: str, given: str) -> bool:
    return wanted == given or (ANY not in (wanted, given) and accepts(wanted, given))


def _drop_outputs(
    graph: Graph, gone: set[str], passed: Mapping[PortRef, PortRef | None], problems: list[Problem]
) -> None:
    for name, ref in list(graph.outputs.items()):
        source = passed.get(ref, ref)
        if source is not None and source.node not in gone:
            graph.outputs[name] = source
            continue
        del graph.outputs[name]
        problems.append(
            Problem(
                "output-muted",
                f"The output `{name}` is not made, because `{ref.node}` is muted, bypassed or waits for such a node.",
                "Unmute the node to have it.",
                ref.node,
                severity="warning",
            )
        )
