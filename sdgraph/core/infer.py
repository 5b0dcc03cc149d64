"""What is certain before anything runs: facts that nodes hand along links, and refuse what can't work by.

A fact is whatever the nodes of a pack agree on for a port type, such as the latent space of latents. An output without
a fact is simply not known, so nothing is refused that might work.
"""

from __future__ import annotations

import logging
from typing import Any

from sdgraph.core.graph import Graph, GraphNode
from sdgraph.core.port import Link, PortRef
from sdgraph.errors import Problem, SdgraphError

_log = logging.getLogger("sdgraph.check")


def check_facts(graph: Graph, problems: list[Problem]) -> None:
    """Let every node that can tell say what its outputs will be; adds what the nodes refuse to `problems`."""
    known: dict[PortRef, Any] = {}
    for node in graph.nodes.values():
        if not node.spec.has_infer:
            continue
        facts = {port: known[ref] for port, ref in node.links.items() if ref in known}
        fields = {**node.values, **{port: Link(*ref) for port, ref in node.links.items()}}
        try:
            found = node.spec.construct(fields).infer(facts)
        except SdgraphError as error:
            problems.append(error.at(node.origin or node.id))
            continue
        except Exception as error:  # a node's code may fail in any way; the run will tell what is wrong
            _log.debug("what %s gives could not be inferred", node.spec.type, exc_info=error)
            problems.append(_failed(node, error))
            continue
        known.update({PortRef(node.id, port): fact for port, fact in found.items() if fact is not None})


def _failed(node: GraphNode, error: Exception) -> Problem:
    message = f"What {node.spec.type!r} gives could not be told before the run: {type(error).__name__}: {error}."
    hint = f"Report it to the pack {node.spec.pack!r}."
    return Problem("infer-failed", message, hint, node.origin or node.id, severity="warning")
