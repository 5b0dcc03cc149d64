"""What happens during a run, as small records. Listeners get them on the thread where they happen and must be quick."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

EventType = Literal[
    "run_queued",
    "run_started",
    "node_cached",
    "node_started",
    "node_progress",
    "node_finished",
    "node_failed",
    "warning",
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
    """Numbers the events of one run and hands them to its listeners."""

    def __init__(self, run_id: str, listeners: tuple[Listener, ...]) -> None:
        self.run_id = run_id
        self.listeners = listeners
        self._numbers = itertools.count(1)

    def emit(self, type: EventType, node: str | None = None, **data: Any) -> None:
        if self.listeners:
            event = RunEvent(next(self._numbers), self.run_id, type, node, data)
            for listener in self.listeners:
                listener(event)
