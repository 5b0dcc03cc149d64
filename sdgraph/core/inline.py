"""A workflow in one piece: subgraphs from other files are taken into it, so that it opens anywhere."""

from __future__ import annotations

import re
from pathlib import Path

from sdgraph.core.entries import GRAPH_PREFIX, GraphEntry, NodeEntry, WorkflowDocument
from sdgraph.core.subgraphs import Found, Library, Scope


def self_contained(document: WorkflowDocument, folder: Path | None) -> WorkflowDocument:
    """The same workflow with every `graph:file.json` as a subgraph of its own; results have the same keys.

    `folder` is where the files are looked for. A use whose file is missing stays as it is.
    """
    work = _Inlining(Library(folder), set(document.graphs))
    scope = work.library.scope(document)
    top = work.convert(document, scope)
    for name, graph in document.graphs.items():
        work.graphs[name] = work.convert(graph, scope)
    while work.pending:
        name, found = work.pending.pop()
        work.graphs[name] = work.convert(found.graph, found.scope)
    return document.model_copy(update={"nodes": top.nodes, "graphs": work.graphs})


class _Inlining:
    """The subgraphs found so far, by what tells them apart."""

    def __init__(self, library: Library, taken: set[str]) -> None:
        self.library = library
        self.graphs: dict[str, GraphEntry] = {}
        self.pending: list[tuple[str, Found]] = []
        self._names: dict[str, str] = {}
        self._taken = taken

    def convert(self, graph: GraphEntry, scope: Scope) -> GraphEntry:
        """The graph with uses of files, and of subgraphs in other files, by their names in this one."""
        nodes = {name: self._renamed(entry, scope) for name, entry in graph.nodes.items()}
        return GraphEntry(nodes=nodes, inputs=graph.inputs, outputs=graph.outputs)

    def _renamed(self, entry: NodeEntry, scope: Scope) -> NodeEntry:
        in_this_file = not scope.file and not entry.type.endswith(".json")
        if not entry.type.startswith(GRAPH_PREFIX) or in_this_file:
            return entry
        found = self.library.find(entry.type, scope)
        if not isinstance(found, Found):
            return entry
        if found.key not in self._names:
            self._names[found.key] = self._free(entry.type.removeprefix(GRAPH_PREFIX))
            self.pending.append((self._names[found.key], found))
        return entry.model_copy(update={"type": GRAPH_PREFIX + self._names[found.key]})

    def _free(self, wanted: str) -> str:
        stem = base = re.sub(r"\W+", "_", Path(wanted).stem, flags=re.ASCII)[:50] or "graph"
        number = 2
        while stem in self._taken:
            stem, number = f"{base}_{number}", number + 1
        self._taken.add(stem)
        return stem
