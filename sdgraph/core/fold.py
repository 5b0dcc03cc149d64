"""Computes nodes over plain values while planning, and drops branches that a known choice does not take.

So a number behind a value node has the same key as the number typed in, and a `switch` with a known condition needs
only the branch taken.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sdgraph.core.check import input_value
from sdgraph.core.context import NoCheckpoint
from sdgraph.core.graph import Graph, GraphNode
from sdgraph.core.port import PortRef
from sdgraph.errors import Problem, RunCancelled, SdgraphError


class _PlanningContext:
    """The run context of folded nodes, which use neither devices nor services."""

    device = "cpu"
    checkpoint = NoCheckpoint()

    def __init__(self, node: str, problems: list[Problem]) -> None:
        self._node = node
        self._problems = problems

    def service(self, kind: type[Any]) -> Any:
        raise SdgraphError("service-missing", f"A folded node asked for {kind.__name__}, which it must not use.")

    def check_cancelled(self) -> None:
        """Nothing to cancel while planning."""

    def progress(self, done: int, total: int, *, preview: Any = None, note: str | None = None) -> None:
        """Nothing to show while planning."""

    def tell(self, type: str, *, keep: bool = True, **data: Any) -> None:
        """Folded nodes use no resources."""

    def warn(self, problem: Problem) -> None:
        self._problems.append(replace(problem, node=problem.node or self._node, severity="warning"))


def fold_constants(graph: Graph, problems: list[Problem]) -> None:
    """Replace links from foldable nodes by their values, prune lazy links, and keep constant outputs."""
    known: dict[PortRef, Any] = {}
    for node in list(graph.nodes.values()):
        if known and node.links:
            _take_known(node, known, problems)
        if node.spec.has_lazy:
            _prune(node, problems)
        if node.spec.cls.node_fold and not node.links and (outputs := _compute(node, problems)) is not None:
            known.update(outputs)
            del graph.nodes[node.id]
    for name, ref in list(graph.outputs.items()):
        if ref in known:
            graph.constants[name] = known[ref]
            del graph.outputs[name]


def _take_known(node: GraphNode, known: dict[PortRef, Any], problems: list[Problem]) -> None:
    for port, ref in list(node.links.items()):
        if ref in known:
            del node.links[port]
            found = node.spec.inputs[port]
            if known[ref] is None and not found.is_value and not found.optional:
                message = f"The port needs a {found.type_name}, but `{ref}` gives nothing."
                hint = f"Connect the inputs that `{ref.node}` hands on."
                problems.append(Problem("input-missing", message, hint, node.id, port))
            else:
                node.values[port] = input_value(node.id, found, known[ref], problems)


def _prune(node: GraphNode, problems: list[Problem]) -> None:
    inputs = node.spec.inputs
    if any(not inputs[port].meta.lazy for port in node.links):
        return  # the choice is made while running
    try:
        needed = set(node.spec.construct(node.values).needed())
    except Exception as error:  # a node's code may fail in any way
        problems.append(_failed(node, error))
        return
    for port in [port for port, found in inputs.items() if found.meta.lazy and port not in needed]:
        node.links.pop(port, None)
        node.values[port] = inputs[port].default


def _compute(node: GraphNode, problems: list[Problem]) -> dict[PortRef, Any] | None:
    try:
        outputs = node.spec.construct(node.values).run(_PlanningContext(node.id, problems))
    except RunCancelled:
        raise
    except Exception as error:  # a division by zero, say: the values are the user's
        problems.append(_failed(node, error))
        return None
    return {PortRef(node.id, name): value for name, value in outputs.__dict__.items()}


def _failed(node: GraphNode, error: Exception) -> Problem:
    # A warning: whether anything waits for the node is not known yet, and a failing node stops only what does.
    said = error.problem.message if isinstance(error, SdgraphError) else f"{type(error).__name__}: {error}."
    message = f"`{node.id}` can't be computed from its values: {said}"
    return Problem("node-will-fail", message, "Change the values that it is given.", node.id, severity="warning")
