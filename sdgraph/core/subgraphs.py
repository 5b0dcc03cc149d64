"""Finding subgraphs: those in the same file by name, and `graph:file.json` beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sdgraph.core.document import MAX_NODES, read_document
from sdgraph.core.entries import GRAPH_PREFIX, GraphEntry, NodeEntry, WorkflowDocument, parse_ref, targets_of
from sdgraph.core.port import PortRef
from sdgraph.errors import Problem, WorkflowError

MAX_LEVELS = 32
"""Subgraphs in subgraphs: deeper is a mistake, or an attack by ids that grow with each level."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where the name of a subgraph is looked up: the graphs of one file, and the folder it lies in."""

    graphs: Mapping[str, GraphEntry]
    folder: Path | None
    file: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A subgraph, the scope that its own nodes see, and what tells it from all others."""

    graph: GraphEntry
    scope: Scope
    key: str


@dataclass(frozen=True, slots=True)
class Leaf:
    """The port of a real node that a subgraph's port stands for."""

    type: str
    port: str


class Library:
    """Looks subgraphs up; reads each file once. Files outside the workflow's folder are refused."""

    def __init__(self, folder: Path | None, max_nodes: int = MAX_NODES) -> None:
        self.root = folder.resolve() if folder else None
        self.max_nodes = max_nodes
        self._files: dict[Path, WorkflowDocument | tuple[Problem, ...]] = {}

    def scope(self, document: WorkflowDocument) -> Scope:
        """The scope of the workflow itself."""
        return Scope(document.graphs, self.root)

    def find(self, type_id: str, scope: Scope) -> Found | tuple[Problem, ...]:
        """The graph that a node of type `graph:...` uses, or why there is none."""
        wanted = type_id.removeprefix(GRAPH_PREFIX)
        if not wanted.endswith(".json"):
            graph = scope.graphs.get(wanted)
            if graph is None:
                known = ", ".join(sorted(scope.graphs)[:20]) or "none"
                hint = f"The file's subgraphs are: {known}."
                return (Problem("graph-unknown", f"There is no subgraph {wanted!r}.", hint),)
            return Found(graph, scope, f"{scope.file}#{wanted}")
        if scope.folder is None or self.root is None:
            hint = "Save the workflow as a file next to it, or put the subgraph into the workflow."
            return (Problem("graph-file-unknown", f"{wanted!r} is looked for beside the workflow's file.", hint),)
        path = _resolved(scope.folder, wanted)
        if path is None:
            message = f"{wanted!r} can't be read: its name, or a symbolic link, leads nowhere."
            return (Problem("workflow-unreadable", message, "Correct the file's name."),)
        if not path.is_relative_to(self.root):
            hint = "Move it beside the workflow."
            return (Problem("graph-file-outside", f"{wanted!r} lies outside the workflow's folder.", hint),)
        if path not in self._files:
            self._files[path] = self._read(path, wanted)
        document = self._files[path]
        if isinstance(document, tuple):
            return document
        return Found(document, Scope(document.graphs, path.parent, str(path)), f"{path}#")

    def input_leaf(self, graph: GraphEntry, scope: Scope, name: str) -> Leaf | None:
        """The first real port that the graph's input `name` feeds, through any levels of subgraphs."""
        path = list(self.input_path(graph, scope, name))
        return Leaf(path[-1][0].type, path[-1][1]) if path and not path[-1][0].type.startswith(GRAPH_PREFIX) else None

    def input_path(self, graph: GraphEntry, scope: Scope, name: str) -> Iterator[tuple[NodeEntry, str]]:
        """The nodes and ports that the graph's input `name` feeds first, from the outermost inwards."""
        for _ in range(MAX_LEVELS):
            ref = next(iter(targets_of(graph.inputs.get(name, []))), None)
            entry = graph.nodes.get(ref.node) if ref else None
            if ref is None or entry is None:
                return
            yield entry, ref.port
            found = self._step(graph, scope, ref)
            if not isinstance(found, tuple):
                return
            graph, scope, name = found

    def output_leaf(self, graph: GraphEntry, scope: Scope, name: str) -> Leaf | None:
        """The real port that makes the graph's output `name`, through any levels of subgraphs."""
        for _ in range(MAX_LEVELS):
            found = self._step(graph, scope, parse_ref(graph.outputs[name])) if name in graph.outputs else None
            if not isinstance(found, tuple):
                return found
            graph, scope, name = found
        return None

    def _step(self, graph: GraphEntry, scope: Scope, ref: PortRef) -> Leaf | tuple[GraphEntry, Scope, str] | None:
        entry = graph.nodes.get(ref.node)
        if entry is None:
            return None
        if not entry.type.startswith(GRAPH_PREFIX):
            return Leaf(entry.type, ref.port)
        found = self.find(entry.type, scope)
        return (found.graph, found.scope, ref.port) if isinstance(found, Found) else None

    def _read(self, path: Path, wanted: str) -> WorkflowDocument | tuple[Problem, ...]:
        try:
            return read_document(path, max_nodes=self.max_nodes)
        except WorkflowError as error:
            return tuple(Problem(found.code, f"{wanted}: {found.message}", found.hint) for found in error.problems)


def _resolved(folder: Path, file: str) -> Path | None:
    try:
        return (folder / file).resolve()
    except (OSError, ValueError, RuntimeError):  # an odd name, a circle of symbolic links
        return None
