"""What is done with every run that ended: learn from its times, and let go of what history need not keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sdgraph.server.runs.estimates import Estimates
from sdgraph.server.runs.history import History
from sdgraph.server.runs.records import ClaimedRun

_EVERY = 20
"""Runs between two looks at what may go."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """The rules of one server."""

    history: History
    estimates: Estimates
    keep_runs: int | None = None
    keep_days: float | None = None
    _ended: count[int] = field(default_factory=count)

    def __call__(self, run: ClaimedRun, report: Mapping[str, Any]) -> None:
        """Take notice of a run that ended."""
        self.estimates.learn(run.workflow, run.document, report)
        if next(self._ended) % _EVERY == 0:
            self.history.prune(self.keep_runs, self.keep_days)
