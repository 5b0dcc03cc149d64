"""Checks links: the source exists, its type fits, and the port may be fed at all."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from sdgraph.core.graph import GraphNode
from sdgraph.core.kinds import OutputKinds
from sdgraph.core.port import PortRef
from sdgraph.core.porttype import accepts
from sdgraph.core.spec import InputSpec
from sdgraph.core.suggest import Suggestions
from sdgraph.errors import Problem


class LinkCheck:
    """Checks links between these nodes; `others` are ids that exist too, but have a problem of their own."""

    def __init__(self, nodes: Mapping[str, GraphNode], kinds: OutputKinds, others: Container[str] = ()) -> None:
        self._nodes = nodes
        self._kinds = kinds
        self._others = others
        self._suggestions = Suggestions()
        self._examples: dict[str, list[tuple[str, str]]] | None = None

    def problems(self, node: GraphNode) -> Iterator[Problem]:
        """What is wrong with a node's links; links at unknown ports are not looked at."""
        for port, ref in node.links.items():
            target = node.spec.inputs.get(port)
            if target is not None and (problem := self._problem(node.id, target, ref)):
                yield problem

    def source_problem(self, ref: PortRef, *, node: str | None, port: str) -> Problem | None:
        """Whether the output exists. `node` is None for the workflow's own output `port`."""
        what = "The link" if node else f"The workflow's output `{port}`"
        source = self._nodes.get(ref.node)
        if source is None:
            if ref.node in self._others:
                return None
            near = self._suggestions.nearest(ref.node, self._nodes)
            hint = f"Did you mean `{near}`?" if near else "Correct or remove it."
            return Problem(
                "link-node-missing", f"{what} comes from `{ref}`, but there is no such node.", hint, node, port
            )
        if ref.port not in source.spec.outputs:
            offered = ", ".join(source.spec.outputs) or "none"
            return Problem(
                "link-output-missing",
                f"{what} comes from `{ref}`, but {source.spec.type!r} has no such output.",
                f"Its outputs are: {offered}.",
                node,
                port,
            )
        return None

    def _problem(self, name: str, target: InputSpec, ref: PortRef) -> Problem | None:
        if problem := self.source_problem(ref, node=name, port=target.name):
            return problem
        if ref.node not in self._nodes or accepts(target.type_name, found := self._kinds.of(ref)):
            return None
        example = self._example(target.type_name, name)
        hint = f"Connect an output of type {target.type_name}" + (f", for example `{example}`." if example else ".")
        return Problem(
            "port-type-mismatch",
            f"`{name}.{target.name}` expects {target.type_name}, but `{ref}` gives {found}.",
            hint,
            name,
            target.name,
        )

    def _example(self, type_name: str, reader: str) -> str | None:
        if self._examples is None:
            self._examples = {}
            for node in self._nodes.values():
                for port, output in node.spec.outputs.items():
                    places = self._examples.setdefault(output.type_name, [])
                    if len(places) < 2:  # one of two outputs may be the reader's own
                        places.append((node.id, port))
        found = (f"{node}.{port}" for node, port in self._examples.get(type_name, ()) if node != reader)
        return next(found, None)


def linkable_problems(node: GraphNode) -> Iterator[Problem]:
    """Links at ports whose value must be known before the run."""
    for port, ref in node.links.items():
        if not node.spec.inputs[port].meta.linkable:
            yield Problem(
                "port-not-linkable",
                f"The value must be known before the run, but it comes from `{ref}`, which is computed.",
                "Type the value in, or feed it from a value node.",
                node.id,
                port,
            )
