"""What happens during a run, as small records."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from sdgraph.core.context import ResourceEvent
from sdgraph.errors import Problem

_log = logging.getLogger("sdgraph.run")

EventType = Literal[
    "run_queued",
    "run_started",
    "node_cached",
    "node_waiting",
    "node_started",
    "node_progress",
    "node_finished",
    "node_failed",
    "warning",
    "model",
    "transfer",
    "remedy",
    "run_finished",
]


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One event of a run; `seq` counts from 1 without gaps."""

    seq: int
    run_id: str
    type: EventType
    node: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_json(self) -> dict[str, Any]:
        """The event as the server sends it. Previews travel on their own."""
        data = {name: value for name, value in self.data.items() if name != "preview"}
        place = {"node": self.node} if self.node is not None else {}
        return {"seq": self.seq, "run_id": self.run_id, "type": self.type, **place, **data}


Listener: TypeAlias = Callable[[RunEvent], None]


class EventStream:
    """Numbers the events of one run and hands them to its listeners, one at a time and in order.

    A listener is called on the thread where the event happens, which waits for it: it must be quick. One that raises
    is not called again, and is a problem of the run, not its end.
    """

    def __init__(self, run_id: str, listeners: tuple[Listener, ...]) -> None:
        self.run_id = run_id
        self.problems: list[Problem] = []
        self.resources: list[Mapping[str, Any]] = []
        """What happened to resources, for the report."""
        self._listeners = list(listeners)
        self._count = 0
        self._lock = threading.RLock()

    @property
    def has_listeners(self) -> bool:
        return bool(self._listeners)

    def emit(self, type: EventType, node: str | None = None, **data: Any) -> None:
        if not self._listeners:
            return
        with self._lock:
            self._count += 1
            event = RunEvent(self._count, self.run_id, type, node, data)
            for listener in tuple(self._listeners):
                try:
                    listener(event)
                except Exception as error:  # listeners are the caller's code
                    self._dismiss(listener, error)

    def warn(self, problem: Problem) -> None:
        """Keep a problem that ends nothing for the report, and tell of it."""
        self.problems.append(problem)
        self.emit("warning", problem.node, problem=problem.to_json())

    def tell(self, type: ResourceEvent, node: str | None, *, keep: bool = True, **data: Any) -> None:
        """Tell of what happened to a resource, and keep it for the report unless it is of the moment only."""
        if keep:
            self.resources.append({"type": type, **({} if node is None else {"node": node}), **data})
        self.emit(type, node, **data)

    def _dismiss(self, listener: Listener, error: Exception) -> None:
        self._listeners.remove(listener)
        _log.error("a listener failed", exc_info=error)
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        message = f"A listener of the run's events failed and hears no more of it: {said}."
        hint = "The results are not touched by it; report it to who wrote the listener."
        self.problems.append(Problem("listener-failed", message, hint, severity="warning"))
