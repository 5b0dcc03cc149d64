"""Runs for the tests of the queue."""

from __future__ import annotations

from typing import Any

from sdgraph.server.runs.records import RunRequest


def asked(user: str = "ann", priority: int = 0, *, name: str = "wave", **values: str) -> RunRequest:
    """A run that somebody asks for; `values` are its inputs."""
    words = " ".join([name, *values.values()])
    return RunRequest(user, name, {"name": name}, dict(values), None, priority, words, values)


def ended(run_id: str, status: str = "done", **outputs: list[Any]) -> dict[str, Any]:
    """A report of a worker."""
    return {"run_id": run_id, "status": status, "outputs": outputs, "nodes": {}, "elapsed_s": 0.5, "problems": []}
