"""What a node sees of the run it takes part in."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Literal, Protocol, TypeVar

from sdgraph.errors import Problem

S = TypeVar("S")

ResourceEvent = Literal["model", "transfer", "remedy"]
"""What may happen to the resources of a run: a model comes, moves, goes or is pruned; a payload is sent to another
device; memory ran out and a remedy was taken."""


class Checkpoint(Protocol):
    """Where a long node can leave how far it is, for the case that its run is interrupted."""

    @property
    def every_steps(self) -> int:
        """After how many steps it is to be saved, as the setting says; 0: never."""
        ...

    def load(self) -> Any | None:
        """What an interrupted run of the same recipe saved last; None if there is nothing."""
        ...

    def save(self, state: Any) -> None:
        """Keep a payload that can be stored, or plain JSON, in place of what was saved before.

        Going on from it must give the very result, bit for bit, that the node gives without interruption. What can't
        be written is reported once and ends nothing.
        """
        ...


class NoCheckpoint:
    """Of a node that runs where nothing is kept."""

    every_steps = 0

    def load(self) -> Any | None:
        return None

    def save(self, state: Any) -> None:
        """Nothing is kept."""


NO_CHECKPOINT = NoCheckpoint()


class RunContext(Protocol):
    """Handed to `Node.run`: progress, cancellation, and the services of the process (the model pool, for example)."""

    @property
    def device(self) -> str:
        """The device of this run in torch's notation: "cpu", "cuda:0", "mps"."""
        ...

    @property
    def checkpoint(self) -> Checkpoint:
        """Where a node whose run may take minutes leaves how far it is."""
        ...

    def service(self, kind: type[S]) -> S:
        """The process-wide object of type `kind` that a pack provides, made at the first call.

        Raises RegistryError [service-missing] when no pack provides it.
        """
        ...

    def warn(self, problem: Problem) -> None:
        """Report something that the node can work with but people should know; the run's report lists it."""
        ...

    def check_cancelled(self) -> None:
        """Raise RunCancelled if the run was cancelled. Call it in every loop that takes longer than a moment."""
        ...

    def progress(self, done: int, total: int, *, preview: Any = None, note: str | None = None) -> None:
        """Report that `done` of `total` parts are finished; checks cancellation.

        `preview` is a payload to look at meanwhile, `note` one sentence that is worth a line of its own.
        """
        ...

    def tell(self, type: ResourceEvent, *, keep: bool = True, **data: Any) -> None:
        """Tell of something that happened to a resource; `data` is plain JSON.

        With `keep` the run's report lists it too; without, only listeners hear of it.
        """
        ...


_CURRENT: ContextVar[RunContext | None] = ContextVar("sdgraph_run_context", default=None)


def current_context() -> RunContext | None:
    """The context of the node that runs on this thread, for services that nodes call; None outside of nodes."""
    return _CURRENT.get()


class running:  # noqa: N801  (used like a function; a generator would cost as much as a trivial node)
    """Within the `with` block a node runs on this thread under `context`."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: RunContext) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = _CURRENT.set(self._context)

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._token)
