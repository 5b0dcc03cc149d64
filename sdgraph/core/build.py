"""From a document to a graph that can be planned: unfold, check, apply modes, fold constants, expand macro nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdgraph.core.check import check_links, check_nodes
from sdgraph.core.document import MAX_NODES, WorkflowDocument
from sdgraph.core.expand import expand_nodes
from sdgraph.core.flatten import flatten
from sdgraph.core.fold import fold_constants
from sdgraph.core.graph import Graph, find_cycles, share_refs, topological_order
from sdgraph.core.infer import check_facts
from sdgraph.core.links import linkable_problems
from sdgraph.core.modes import apply_modes
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.errors import Problem, WorkflowError


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
    if any(problem.code == "too-many-nodes" for problem in problems):
        return Checked(None, tuple(problems))
    nodes = check_nodes(flat, registry, problems)
    order, cycle = topological_order(nodes)
    check_links(nodes, flat, problems, order)
    if cycle:
        problems.extend(_cycle_problem(found) for found in find_cycles(nodes, order))
    if _has_errors(problems):
        return Checked(None, tuple(problems))
    graph = Graph({name: nodes[name] for name in order}, dict(flat.outputs))
    apply_modes(graph, {name: node.mode for name, node in flat.nodes.items() if node.mode}, problems)
    fold_constants(graph, problems)
    if not _has_errors(problems):
        problems.extend(found for node in graph.nodes.values() if node.links for found in linkable_problems(node))
    if not _has_errors(problems):
        check_facts(graph, problems)  # before nodes are expanded, so that problems name what people placed
    if not _has_errors(problems):
        graph = expand_nodes(graph, registry, problems, max_nodes=max_nodes)
    if _has_errors(problems):
        return Checked(None, tuple(problems))
    share_refs(graph)
    return Checked(graph, (*problems, *_warnings(document, graph)))


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


def _cycle_problem(cycle: list[str]) -> Problem:
    shown = cycle if len(cycle) <= 8 else [*cycle[:4], f"{len(cycle) - 5:,} more nodes", cycle[-1]]
    path = " -> ".join(f"`{name}`" for name in (*shown, cycle[0]))
    return Problem("cycle", f"These nodes wait for each other: {path}.", "Remove one of the links.", cycle[0])


def _warnings(document: WorkflowDocument, graph: Graph) -> Iterator[Problem]:
    if not (graph.outputs or graph.constants or any(node.spec.has_deliver for node in graph.nodes.values())):
        yield Problem(
            "nothing-to-run",
            "The workflow names no output and saves nothing, so there is nothing to run.",
            'Name a result, for example "outputs": {"image": "decode.image"}.',
            severity="warning",
        )
    entries = [entry for holder in (document, *document.graphs.values()) for entry in holder.nodes.values()]
    used = {entry.type for entry in entries}
    for name in document.graphs:
        if f"graph:{name}" not in used:
            yield Problem(
                "graph-unused",
                f"The subgraph `{name}` is not used, and was not checked.",
                "Use it or remove it.",
                severity="warning",
            )


def _has_errors(problems: list[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)
