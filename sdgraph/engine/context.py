"""The run context that nodes get, the services behind it, and the token that cancels a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from sdgraph.core.context import NO_CHECKPOINT, Checkpoint, ResourceEvent
from sdgraph.engine.events import EventStream
from sdgraph.errors import Problem, RegistryError, RunCancelled

if TYPE_CHECKING:  # the command line's help imports this module
    from sdgraph.engine.cachekey import CacheKey
    from sdgraph.engine.stores.checkpoints import Checkpoints

S = TypeVar("S")


class CancelToken:
    """Set once, from any thread or a signal handler; nodes see it at their next check."""

    def __init__(self) -> None:
        self._set = False

    def cancel(self) -> None:
        self._set = True

    @property
    def cancelled(self) -> bool:
        return self._set


class Services:
    """Process-wide objects by type, each made by its pack's factory when first asked for."""

    def __init__(self, factories: Mapping[type, Callable[[], object]]) -> None:
        self._factories = factories
        self._made: dict[type, object] = {}
        self._lock = threading.RLock()

    def get(self, kind: type[S]) -> S:
        with self._lock:
            if kind not in self._made:
                factory = self._factories.get(kind)
                if factory is None:
                    raise RegistryError(
                        "service-missing", f"No node pack provides {kind.__name__}.", "Install the pack that does."
                    )
                self._made[kind] = factory()
            found: Any = self._made[kind]
        return found

    def find(self, kind: type[S]) -> S | None:
        """The service, or None when no pack provides it."""
        return self.get(kind) if kind in self._factories or kind in self._made else None

    def made(self, kind: type[S]) -> S | None:
        """The service if it was asked for already."""
        found: Any = self._made.get(kind)
        return found


class KeptCheckpoint:
    """The `Checkpoint` of one node, in a store."""

    def __init__(
        self, checkpoints: Checkpoints, key: CacheKey, every_steps: int, warn: Callable[[Problem], None]
    ) -> None:
        self.every_steps = every_steps
        self._checkpoints = checkpoints
        self._key = key
        self._warn = warn
        self._works = True
        self.used = False
        """Whether there is, or was, something saved."""

    def load(self) -> Any | None:
        found = self._checkpoints.load(self._key)
        self.used = self.used or found is not None
        return found

    def save(self, state: Any) -> None:
        if not self._works:
            return
        self.used = True
        try:
            self._checkpoints.save(self._key, state)
        except (OSError, TypeError) as error:
            self._works = False
            message = f"How far the node is was not written: {error}."
            hint = "The run goes on; if it is interrupted, the node starts from its beginning."
            self._warn(Problem("checkpoint-not-written", message, hint, severity="warning"))

    def drop(self) -> None:
        """Remove what was saved: the node has its result."""
        self._checkpoints.drop(self._key)


class NodeContext:
    """The `RunContext` of one node in one run."""

    __slots__ = ("_cancel", "_events", "_node", "_services", "checkpoint", "device")

    def __init__(
        self,
        node: str,
        device: str,
        services: Services,
        cancel: CancelToken,
        events: EventStream,
        checkpoint: Checkpoint = NO_CHECKPOINT,
    ) -> None:
        self.device = device
        self.checkpoint = checkpoint
        self._node = node
        self._services = services
        self._cancel = cancel
        self._events = events

    def service(self, kind: type[S]) -> S:
        return self._services.get(kind)

    def warn(self, problem: Problem) -> None:
        self._events.warn(replace(problem, node=problem.node or self._node, severity="warning"))

    def check_cancelled(self) -> None:
        if self._cancel.cancelled:
            raise RunCancelled

    def progress(self, done: int, total: int, *, preview: Any = None, note: str | None = None) -> None:
        self.check_cancelled()
        said = {} if note is None else {"note": note}
        self._events.emit("node_progress", self._node, done=done, total=total, preview=preview, **said)

    def tell(self, type: ResourceEvent, *, keep: bool = True, **data: Any) -> None:
        if type == "remedy" and not data.get("storable", True):
            self.checkpoint = NO_CHECKPOINT  # what comes from here on is not what the node's key stands for
        self._events.tell(type, self._node, keep=keep, **data)
