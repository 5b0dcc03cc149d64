"""What a run came to: the object that `sdgraph run --json` prints and the server sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.reason import Reason
from sdgraph.errors import Problem

RunStatus = Literal["done", "partial", "failed", "cancelled"]
NodeStatus = Literal["ran", "hit", "failed", "skipped"]


class NodeReport(NamedTuple):
    """What became of one node. A named tuple, because a report of a large graph holds very many."""

    status: NodeStatus
    why: Reason
    cache_key: CacheKey
    store: str | None = None
    elapsed_s: float = 0.0

    @property
    def reason(self) -> str:
        """The reason in one line."""
        return self.why.text

    @property
    def key(self) -> str:
        """The key of the node's result, hexadecimal."""
        return self.cache_key.hex()

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "store": self.store,
            **self.why.to_json(),
            "key": self.key,
            "elapsed_s": round(self.elapsed_s, 6),
        }


@dataclass(frozen=True, slots=True)
class RunReport:
    """What became of a run. `outputs` holds values; files are written by whoever asked for the run."""

    run_id: str
    status: RunStatus
    outputs: Mapping[str, Any]
    nodes: Mapping[str, NodeReport]
    elapsed_s: float
    problems: tuple[Problem, ...] = ()
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Outputs by node id, of the nodes that deliver files or are behind no workflow output."""
    resources: tuple[Mapping[str, Any], ...] = ()
    """What happened to resources, in order: models that came, moved or went, payloads that were sent to
    another device, and remedies for memory that ran out."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    def count(self, status: NodeStatus) -> int:
        return sum(node.status == status for node in self.nodes.values())
