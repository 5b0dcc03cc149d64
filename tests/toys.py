"""Seams for the tests: a run context without a run."""

from __future__ import annotations

from typing import Any, TypeVar

from sdgraph.core.context import NoCheckpoint
from sdgraph.errors import Problem, RunCancelled

S = TypeVar("S")


class RecordingContext:
    """A `RunContext` that keeps what nodes report, and cancels after a number of reports if told to."""

    device = "cpu"
    checkpoint = NoCheckpoint()

    def __init__(self, *services: object, cancel_after: int | None = None) -> None:
        self.reports: list[tuple[int, int]] = []
        self.previews: list[Any] = []
        self.notes: list[str] = []
        self.warnings: list[Problem] = []
        self.told: list[dict[str, Any]] = []
        self._services = {type(service): service for service in services}
        self._cancel_after = cancel_after

    def service(self, kind: type[S]) -> S:
        found: Any = self._services[kind]
        return found

    def warn(self, problem: Problem) -> None:
        self.warnings.append(problem)

    def tell(self, type: str, *, keep: bool = True, **data: Any) -> None:
        self.told.append({"type": type, **data})

    def check_cancelled(self) -> None:
        if self._cancel_after is not None and len(self.reports) >= self._cancel_after:
            raise RunCancelled

    def progress(self, done: int, total: int, *, preview: Any = None, note: str | None = None) -> None:
        self.reports.append((done, total))
        if note is not None:
            self.notes.append(note)
        if preview is not None:
            self.previews.append(preview)
        self.check_cancelled()
