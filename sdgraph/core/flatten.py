"""Subgraphs: a node of type `graph:NAME` or `graph:file.json` is replaced by the nodes of that graph.

Inner nodes get ids like "outer/inner". Because this happens before keys are computed, two workflows that use the same
stage share its results, however the stage is named in either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sdgraph.core.document import MAX_NODES
from sdgraph.core.entries import GRAPH_PREFIX, GraphEntry, WorkflowDocument, parse_ref, targets_of
from sdgraph.core.port import PortRef
from sdgraph.core.subgraphs import MAX_LEVELS, Found, Leaf, Library, Scope
from sdgraph.errors import Problem

_PARTS_PER_NODE = 40


@dataclass(slots=True)
class FlatNode:
    """A node outside any subgraph: values as in the file, links with absolute ids."""

    type: str
    version: int | None
    values: dict[str, Any]
    links: dict[str, PortRef]
    mode: str | None


@dataclass(frozen=True, slots=True)
class StandIn:
    """The ports of a bypassed subgraph, which stays one node until its links are passed on."""

    inputs: Mapping[str, Leaf]
    outputs: Mapping[str, Leaf]


@dataclass(slots=True)
class Flat:
    """A document without subgraphs."""

    nodes: dict[str, FlatNode] = field(default_factory=dict[str, FlatNode])
    outputs: dict[str, PortRef] = field(default_factory=dict[str, PortRef])
    problems: list[Problem] = field(default_factory=list[Problem])
    exposed: list[tuple[str, str, PortRef]] = field(default_factory=list[tuple[str, str, PortRef]])
    """What inputs feed: the id of the subgraph's use ("" for the workflow), the input's name, the port."""
    stand_ins: dict[str, StandIn] = field(default_factory=dict[str, StandIn])
    broken: set[str] = field(default_factory=set[str])
    """Uses of subgraphs that have a problem already; links that end at them are no further one."""


@dataclass(frozen=True, slots=True)
class _Job:
    """One use of a graph that still has to be unfolded."""

    prefix: str
    graph: GraphEntry
    scope: Scope
    chain: tuple[str, ...]
    values: Mapping[str, Any]
    links: Mapping[str, PortRef]
    muted: bool


@dataclass(slots=True)
class _Flattening:
    """The work in progress."""

    library: Library
    flat: Flat = field(default_factory=Flat)
    uses: dict[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    """The outputs of each unfolded use."""
    parts: int = 0
    """Nodes, uses, values, links and exposed ports so far: what a subgraph that is used often multiplies."""


def flatten(
    document: WorkflowDocument,
    inputs: Mapping[str, Any] | None = None,
    *,
    folder: Path | None = None,
    max_nodes: int = MAX_NODES,
) -> Flat:
    """Unfold all subgraphs and give the workflow's inputs their values. Problems are collected, not raised."""
    library = Library(folder, max_nodes)
    work = _Flattening(library)
    jobs = [_Job("", document, library.scope(document), (), inputs or {}, {}, False)]
    while jobs:
        job = jobs.pop()
        work.parts += _part_count(job.graph)
        if work.parts <= _PARTS_PER_NODE * max_nodes:
            jobs.extend(_unfold(job, work))
        # Uses count too: they can multiply without any node.
        if len(work.flat.nodes) + len(work.uses) > max_nodes or work.parts > _PARTS_PER_NODE * max_nodes:
            work.flat.problems.append(
                Problem(
                    "too-many-nodes",
                    f"With its subgraphs unfolded the workflow has more than {max_nodes:,} nodes.",
                    "Look for subgraphs that use each other many times, or raise SDGRAPH_MAX_NODES.",
                )
            )
            return work.flat
    _resolve_links(work, document.outputs)
    return work.flat


def _unfold(job: _Job, work: _Flattening) -> Iterator[_Job]:
    local = {
        job.prefix + name: FlatNode(
            entry.type,
            entry.version,
            dict(entry.values),
            {port: _inside(job.prefix, text) for port, text in entry.links.items()},
            "mute" if job.muted else entry.mode,
        )
        for name, entry in job.graph.nodes.items()
    }
    work.flat.problems.extend(_give_inputs(job, local))
    work.flat.exposed.extend(
        (job.prefix, name, PortRef(job.prefix + ref.node, ref.port))
        for name, targets in job.graph.inputs.items()
        for ref in targets_of(targets)
    )
    for name, node in local.items():
        if not node.type.startswith(GRAPH_PREFIX):
            work.flat.nodes[name] = node
            continue
        found = _find(job, node, work.library)
        if not isinstance(found, Found):
            work.flat.problems.extend(replace(problem, node=name) for problem in found)
            work.flat.broken.add(name)
        elif node.mode == "bypass":
            work.flat.nodes[name] = node
            work.flat.stand_ins[name] = _stand_in(found, work.library)
        else:
            work.uses[name] = found.graph.outputs
            chain = (*job.chain, found.key)
            yield _Job(name + "/", found.graph, found.scope, chain, node.values, node.links, node.mode == "mute")


def _part_count(graph: GraphEntry) -> int:
    ports = sum(len(entry.values) + len(entry.links) for entry in graph.nodes.values())
    targets = sum(1 if isinstance(found, str) else len(found) for found in graph.inputs.values())
    return len(graph.nodes) + ports + len(graph.inputs) + targets


def _inside(prefix: str, text: str) -> PortRef:
    ref = parse_ref(text)
    return PortRef(prefix + ref.node, ref.port) if prefix else ref


def _give_inputs(job: _Job, local: Mapping[str, FlatNode]) -> Iterator[Problem]:
    place = job.prefix.rstrip("/") or None
    for name, targets in job.graph.inputs.items():
        for ref in targets_of(targets):
            node = local.get(job.prefix + ref.node)
            if node is None:
                message = f"The input `{name}` feeds `{ref}`, but there is no node `{ref.node}`."
                yield Problem("input-target-missing", message, "Correct the input or remove it.", place)
            elif name in job.values:
                node.values[ref.port] = job.values[name]
                node.links.pop(ref.port, None)
            elif name in job.links:
                node.links[ref.port] = job.links[name]
                node.values.pop(ref.port, None)
    for name in sorted(job.values.keys() & job.links.keys()):
        yield Problem("port-given-twice", "The input has both a value and a link.", "Keep one of the two.", place, name)
    for name in sorted((job.values.keys() | job.links.keys()) - job.graph.inputs.keys()):
        offered = ", ".join(sorted(job.graph.inputs)[:20]) or "none"
        hint = f"The inputs are: {offered}."
        yield Problem("input-unknown", f"There is no input `{name}`.", hint, place, name)


def _find(job: _Job, node: FlatNode, library: Library) -> Found | tuple[Problem, ...]:
    found = library.find(node.type, job.scope)
    if not isinstance(found, Found):
        return found
    wanted = node.type.removeprefix(GRAPH_PREFIX)
    if found.key in job.chain:
        hint = "Remove the node that closes the circle."
        return (Problem("graph-uses-itself", f"The subgraph `{wanted}` contains itself.", hint),)
    if len(job.chain) >= MAX_LEVELS:
        message = f"Subgraphs lie more than {MAX_LEVELS} deep inside each other."
        return (Problem("graph-too-deep", message, "Unfold some of them by hand."),)
    return found


def _stand_in(found: Found, library: Library) -> StandIn:
    graph, scope = found.graph, found.scope
    inputs = {name: library.input_leaf(graph, scope, name) for name in graph.inputs}
    outputs = {name: library.output_leaf(graph, scope, name) for name in graph.outputs}
    return StandIn(
        {name: leaf for name, leaf in inputs.items() if leaf}, {name: leaf for name, leaf in outputs.items() if leaf}
    )


def _resolve_links(work: _Flattening, outputs: Mapping[str, str]) -> None:
    flat = work.flat
    if not work.uses:
        flat.outputs = {name: parse_ref(text) for name, text in outputs.items()}
        return

    def resolve(ref: PortRef, node: str | None, port: str) -> PortRef:
        while ref.node in work.uses:
            offered = work.uses[ref.node]
            if ref.port not in offered:
                message = f"The subgraph `{ref.node}` has no output `{ref.port}`."
                hint = f"Its outputs are: {', '.join(sorted(offered)[:20]) or 'none'}."
                flat.problems.append(Problem("link-output-missing", message, hint, node, port))
                flat.broken.add(ref.node)
                break
            ref = _inside(ref.node + "/", offered[ref.port])
        return ref

    for name, node in flat.nodes.items():
        node.links = {port: resolve(ref, name, port) for port, ref in node.links.items()}
    flat.outputs = {name: resolve(parse_ref(text), None, name) for name, text in outputs.items()}
