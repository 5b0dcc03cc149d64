"""From a document to a graph that can be planned: unfold, check, apply modes, fold constants, expand macro nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdgraph.core.check import check_links, check_nodes, input_value
from sdgraph.core.document import MAX_NODES, WorkflowDocument
from sdgraph.core.flatten import flatten
from sdgraph.core.fold import fold_constants
from sdgraph.core.graph import Graph, GraphNode, topological_order
from sdgraph.core.modes import apply_modes
from sdgraph.core.port import Link, PortRef
from sdgraph.core.registry import Registry
from sdgraph.core.spec import NodeSpec
from sdgraph.core.workflow import Workflow, split_inputs
from sdgraph.errors import Problem, SdgraphError, WorkflowError


@dataclass(frozen=True, slots=True)
class Checked:
    """What checking a workflow gives: the graph (None if there are errors) and all problems, warnings included."""

    graph: Graph | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")


def check_workflow(
    document: WorkflowDocument | Workflow,
    registry: Registry,
    inputs: Mapping[str, Any] | None = None,
    *,
    folder: Path | None = None,
    max_nodes: int = MAX_NODES,
) -> Checked:
    """Check a workflow with these values for its inputs. `folder` is where `graph:file.json` is looked for."""
    if isinstance(document, Workflow):
        document = document.to_document()
    flat = flatten(document, inputs, folder=folder, max_nodes=max_nodes)
    problems = list(flat.problems)
    nodes = check_nodes(flat, registry, problems)
    check_links(nodes, flat, problems)
    order, cycle = topological_order(nodes)
    if cycle:
        path = " -> ".join(f"`{name}`" for name in (*cycle, cycle[0]))
        problems.append(
            Problem("cycle", f"These nodes wait for each other: {path}.", "Remove one of the links.", node=cycle[0])
        )
    if _has_errors(problems):
        return Checked(None, tuple(problems))
    graph = Graph({name: nodes[name] for name in order}, dict(flat.outputs))
    modes = {name: node.mode for name, node in flat.nodes.items() if node.mode}
    apply_modes(graph, modes, problems)
    fold_constants(graph, problems)
    if not _has_errors(problems):
        _check_linkable(graph, problems)
    if not _has_errors(problems):
        graph = expand_nodes(graph, registry, problems)
    return Checked(None if _has_errors(problems) else graph, tuple(problems))


def build_graph(
    document: WorkflowDocument | Workflow,
    registry: Registry,
    inputs: Mapping[str, Any] | None = None,
    *,
    folder: Path | None = None,
    max_nodes: int = MAX_NODES,
) -> Graph:
    """The checked graph of a workflow. Raises WorkflowError with all problems."""
    checked = check_workflow(document, registry, inputs, folder=folder, max_nodes=max_nodes)
    if checked.graph is None:
        raise WorkflowError(checked.errors)
    return checked.graph


def expand_nodes(graph: Graph, registry: Registry, problems: list[Problem]) -> Graph:
    """Replace every node that expands into smaller ones by these, until none is left."""
    pending = [node for node in graph.nodes.values() if node.spec.has_expand]
    if not pending:
        return graph
    nodes = dict(graph.nodes)
    replaced: dict[PortRef, PortRef] = {}
    while pending:
        node = pending.pop()
        inner = Workflow(prefix=node.id + "/")
        outputs = _expand(node, inner, problems)
        if outputs is None:
            continue
        del nodes[node.id]
        for name, link in outputs.__dict__.items():
            replaced[PortRef(node.id, name)] = link.ref
        for name, part in inner.nodes.items():
            placed = _graph_node(name, part, registry.spec_of(type(part)), node.origin or node.id, problems)
            nodes[name] = placed
            if placed.spec.has_expand:
                pending.append(placed)
    _redirect(nodes, graph.outputs, replaced)
    order, _ = topological_order(nodes)
    return Graph({name: nodes[name] for name in order}, graph.outputs, graph.constants)


def _expand(node: GraphNode, inner: Workflow, problems: list[Problem]) -> Any:
    fields: dict[str, Any] = {**node.values, **{name: Link(*ref) for name, ref in node.links.items()}}
    try:
        return node.spec.construct(fields).expand(inner)
    except SdgraphError as error:
        problems.append(error.at(node.id))
        return None


def _graph_node(name: str, part: Any, spec: NodeSpec, origin: str, problems: list[Problem]) -> GraphNode:
    values, links = split_inputs(part)
    coerced = {
        port: input_value(name, spec.inputs[port], value, problems) if spec.inputs[port].is_value else value
        for port, value in values.items()
    }
    return GraphNode(name, spec, coerced, links, origin)


def _redirect(nodes: Mapping[str, GraphNode], outputs: dict[str, PortRef], replaced: Mapping[PortRef, PortRef]) -> None:
    def final(ref: PortRef) -> PortRef:
        while ref in replaced:
            ref = replaced[ref]
        return ref

    for node in nodes.values():
        node.links = {port: final(ref) for port, ref in node.links.items()}
    for name, ref in outputs.items():
        outputs[name] = final(ref)


def _check_linkable(graph: Graph, problems: list[Problem]) -> None:
    for node in graph.nodes.values():
        for port, ref in node.links.items():
            if not node.spec.inputs[port].meta.linkable:
                problems.append(
                    Problem(
                        "port-not-linkable",
                        f"The value must be known before the run, but it comes from `{ref}`, which is computed.",
                        "Type the value in, or feed it from a value node.",
                        node=node.id,
                        port=port,
                    )
                )


def _has_errors(problems: list[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)
