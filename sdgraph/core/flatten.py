"""Subgraphs: a node of type `graph:NAME` or `graph:file.json` is replaced by the nodes of that graph.

Inner nodes get ids like "outer/inner". Because this happens before keys are computed, two workflows that use the same
stage share its results, however the stage is named in either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdgraph.core.document import (
    GRAPH_PREFIX,
    MAX_NODES,
    GraphEntry,
    WorkflowDocument,
    parse_ref,
    read_document,
    targets_of,
)
from sdgraph.core.port import PortRef
from sdgraph.errors import Problem, WorkflowError


@dataclass(slots=True)
class FlatNode:
    """A node outside any subgraph: values as in the file, links with absolute ids."""

    type: str
    version: int | None
    values: dict[str, Any]
    links: dict[str, PortRef]
    mode: str | None


@dataclass(slots=True)
class Flat:
    """A document without subgraphs."""

    nodes: dict[str, FlatNode] = field(default_factory=dict[str, FlatNode])
    outputs: dict[str, PortRef] = field(default_factory=dict[str, PortRef])
    problems: list[Problem] = field(default_factory=list[Problem])


@dataclass(frozen=True, slots=True)
class _Job:
    """One use of a graph that still has to be unfolded."""

    prefix: str
    graph: GraphEntry
    scope: Mapping[str, GraphEntry]
    folder: Path | None
    chain: tuple[str, ...]
    values: Mapping[str, Any]
    links: Mapping[str, PortRef]
    mode: str | None


def flatten(
    document: WorkflowDocument,
    inputs: Mapping[str, Any] | None = None,
    *,
    folder: Path | None = None,
    max_nodes: int = MAX_NODES,
) -> Flat:
    """Unfold all subgraphs and give the workflow's inputs their values. Problems are collected, not raised."""
    flat = Flat()
    uses: dict[str, tuple[str, Mapping[str, str]]] = {}
    jobs = [_Job("", document, document.graphs, folder, (), inputs or {}, {}, None)]
    while jobs:
        job = jobs.pop()
        jobs.extend(_unfold(job, flat, uses))
        if len(flat.nodes) + len(jobs) > max_nodes:
            flat.problems.append(
                Problem(
                    "too-many-nodes",
                    f"With its subgraphs unfolded the workflow has more than {max_nodes:,} nodes.",
                    "Look for subgraphs that use each other many times.",
                )
            )
            return flat
    for name, target in document.outputs.items():
        flat.outputs[name] = parse_ref(target)
    _resolve_links(flat, uses)
    return flat


def _unfold(job: _Job, flat: Flat, uses: dict[str, tuple[str, Mapping[str, str]]]) -> list[_Job]:
    local = {
        job.prefix + name: FlatNode(
            entry.type,
            entry.version,
            dict(entry.values),
            {port: PortRef(job.prefix + ref.node, ref.port) for port, ref in _refs(entry.links)},
            job.mode or entry.mode,
        )
        for name, entry in job.graph.nodes.items()
    }
    _give_inputs(job, local, flat.problems)
    inner: list[_Job] = []
    for name, node in local.items():
        if not node.type.startswith(GRAPH_PREFIX):
            flat.nodes[name] = node
            continue
        found = _use(job, name, node, flat.problems)
        if found is not None:
            inner.append(found)
            uses[name] = (name + "/", found.graph.outputs)
    return inner


def _refs(links: Mapping[str, str]) -> list[tuple[str, PortRef]]:
    return [(port, parse_ref(text)) for port, text in links.items()]


def _give_inputs(job: _Job, local: Mapping[str, FlatNode], problems: list[Problem]) -> None:
    place = job.prefix.rstrip("/") or None
    for name, targets in job.graph.inputs.items():
        for ref in targets_of(targets):
            node = local.get(job.prefix + ref.node)
            if node is None:
                problems.append(
                    Problem(
                        "input-target-missing",
                        f"The input `{name}` feeds `{ref}`, but there is no node `{ref.node}`.",
                        "Correct the input or remove it.",
                        node=place,
                    )
                )
            elif name in job.values:
                node.values[ref.port] = job.values[name]
                node.links.pop(ref.port, None)
            elif name in job.links:
                node.links[ref.port] = job.links[name]
                node.values.pop(ref.port, None)
    for name in sorted({*job.values, *job.links} - job.graph.inputs.keys()):
        offered = ", ".join(sorted(job.graph.inputs)) or "none"
        problems.append(
            Problem(
                "input-unknown",
                f"There is no input `{name}`.",
                f"The inputs are: {offered}.",
                node=place,
                port=name if place else None,
            )
        )


def _use(job: _Job, name: str, node: FlatNode, problems: list[Problem]) -> _Job | None:
    wanted = node.type.removeprefix(GRAPH_PREFIX)
    here = f"{job.folder}:{wanted}" if wanted.endswith(".json") else f"{id(job.scope)}:{wanted}"

    def complain(code: str, message: str, hint: str | None = None) -> None:
        problems.append(Problem(code, message, hint, node=name))

    if node.mode == "bypass":
        complain(
            "bypass-impossible", "A subgraph as a whole can't be bypassed.", "Mute it, or bypass the nodes inside it."
        )
        return None
    if here in job.chain:
        complain(
            "graph-uses-itself", f"The subgraph `{wanted}` contains itself.", "Remove the node that closes the circle."
        )
        return None
    graph: GraphEntry | None = job.scope.get(wanted)
    scope, folder = job.scope, job.folder
    if graph is None and wanted.endswith(".json"):
        graph = _read_neighbour(job.folder, wanted, complain)
        if graph is None:
            return None
        scope = graph.graphs
    if graph is None:
        known = ", ".join(sorted(job.scope)) or "none"
        complain("graph-unknown", f"There is no subgraph `{wanted}`.", f"The file's subgraphs are: {known}.")
        return None
    return _Job(name + "/", graph, scope, folder, (*job.chain, here), node.values, node.links, node.mode)


def _read_neighbour(
    folder: Path | None, file: str, complain: Callable[[str, str, str | None], None]
) -> WorkflowDocument | None:
    if folder is None:
        complain("graph-file-unknown", f"`{file}` is looked for beside the workflow, which is no file here.", None)
        return None
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()):
        complain("graph-file-outside", f"`{file}` lies outside the workflow's folder.", "Move it beside the workflow.")
        return None
    try:
        return read_document(path)
    except WorkflowError as error:
        for problem in error.problems:
            complain(problem.code, f"{file}: {problem.message}", problem.hint)
        return None


def _resolve_links(flat: Flat, uses: Mapping[str, tuple[str, Mapping[str, str]]]) -> None:
    def resolve(ref: PortRef, node: str | None, port: str | None) -> PortRef | None:
        while ref.node in uses:
            prefix, outputs = uses[ref.node]
            if ref.port not in outputs:
                offered = ", ".join(sorted(outputs)) or "none"
                flat.problems.append(
                    Problem(
                        "link-output-missing",
                        f"The subgraph `{ref.node}` has no output `{ref.port}`.",
                        f"Its outputs are: {offered}.",
                        node=node,
                        port=port,
                    )
                )
                return None
            inner = parse_ref(outputs[ref.port])
            ref = PortRef(prefix + inner.node, inner.port)
        return ref

    for name, node in flat.nodes.items():
        links = {port: resolve(ref, name, port) for port, ref in node.links.items()}
        node.links = {port: ref for port, ref in links.items() if ref is not None}
    outputs = {name: resolve(ref, None, name) for name, ref in flat.outputs.items()}
    flat.outputs = {name: ref for name, ref in outputs.items() if ref is not None}
