"""What a worker is asked to do, and what it answers at last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sdgraph.errors import Problem


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a workflow that is complete in itself: no `graph:FILE.json` is looked for on the disk."""

    run_id: str
    document: Mapping[str, Any]
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    outputs: tuple[str, ...] | None = None
    """Names of the outputs wanted; None for all."""

    def to_json(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "document": dict(self.document),
            "inputs": dict(self.inputs),
            "outputs": None if self.outputs is None else list(self.outputs),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Job:
        """Raises KeyError or TypeError for what `to_json` did not write."""
        outputs = data["outputs"]
        return cls(data["run_id"], data["document"], data["inputs"], None if outputs is None else tuple(outputs))


@dataclass(frozen=True, slots=True)
class Warming:
    """A workflow whose models a worker loads before its first run."""

    name: str
    document: Mapping[str, Any]
    """Complete in itself, as that of a job."""


@dataclass(frozen=True, slots=True)
class Report:
    """The end of a run: the object of `sdgraph run --json`, with pictures by digest."""

    data: Mapping[str, Any]

    @property
    def status(self) -> str:
        return self.data["status"]


def report_without_nodes(run_id: str, status: str, *problems: Problem) -> dict[str, Any]:
    """The report of a run that came to nothing."""
    return {
        "run_id": run_id,
        "status": status,
        "outputs": {},
        "nodes": {},
        "elapsed_s": 0.0,
        "peak_memory_bytes": None,
        "problems": [problem.to_json() for problem in problems],
    }
