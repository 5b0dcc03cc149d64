"""What is certain before anything runs: facts that nodes hand along links, and refuse what can't work by.

A fact is whatever the nodes of a pack agree on for a port type, such as the latent space of latents. An output without
a fact is simply not known, so nothing is refused that might work.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sdgraph.core.graph import Graph, GraphNode
from sdgraph.core.port import Link, PortRef
from sdgraph.errors import Problem, SdgraphError

_log = logging.getLogger("sdgraph.check")


class Known(dict[str, Any]):
    """What is certain about a node's linked inputs, by port, and where it says what people should know."""

    def __init__(self, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(facts or {})
        self.warnings: list[Problem] = []

    def warn(self, code: str, message: str, hint: str, port: str | None = None) -> None:
        """Tell of something that works, but probably not as it is meant."""
        self.warnings.append(Problem(code, message, hint, port=port, severity="warning"))


def check_facts(graph: Graph, problems: list[Problem]) -> dict[PortRef, Any]:
    """Let every node that can tell say what its outputs will be; adds what the nodes refuse to `problems`.

    Returns the facts of the outputs.
    """
    facts: dict[PortRef, Any] = {}
    read: dict[tuple[str, str], Mapping[str, Any]] = {}
    """What nodes without links said that read files; a thousand of the same kind need not read them again."""
    for node in graph.nodes.values():
        if not node.spec.has_infer:
            continue
        reads = (node.spec.type, repr(node.values)) if node.spec.has_fingerprint and not node.links else None
        if reads in read:
            facts.update({PortRef(node.id, port): fact for port, fact in read[reads].items()})
            continue
        known = Known({port: facts[ref] for port, ref in node.links.items() if ref in facts})
        fields = {**node.values, **{port: Link(*ref) for port, ref in node.links.items()}}
        try:
            found = node.spec.construct(fields).infer(known)
        except SdgraphError as error:
            problems.append(error.at(node.id))
            continue
        except Exception as error:  # a node's code may fail in any way; the run will tell what is wrong
            _log.debug("what %s gives could not be inferred", node.spec.type, exc_info=error)
            problems.append(_failed(node, error))
            continue
        problems.extend(replace(warning, node=node.id) for warning in known.warnings)
        told = {port: fact for port, fact in found.items() if fact is not None}
        facts.update({PortRef(node.id, port): fact for port, fact in told.items()})
        if reads is not None and not known.warnings:
            read[reads] = told
    return facts


def _failed(node: GraphNode, error: Exception) -> Problem:
    message = f"What {node.spec.type!r} gives could not be told before the run: {type(error).__name__}: {error}."
    return Problem("infer-failed", message, f"Report it to the pack {node.spec.pack!r}.", node.id, severity="warning")
