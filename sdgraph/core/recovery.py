"""What may be done about a node that failed for lack of something, so that it can be tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sdgraph.core.context import RunContext
from sdgraph.errors import SdgraphError


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do before a node is tried again."""

    name: str
    """A stable id such as "free_memory"."""
    text: str
    """One sentence: what is done."""
    take: Callable[[], AbstractContextManager[object]]
    """Does it; the node is tried within the `with` block, and so are the remedies that follow."""
    storable: bool = True
    """Whether the result is the one that the node's key stands for. One that is not is handed on, but never stored,
    nor is what is computed from it."""


class Recovery(Protocol):
    """A service that a pack may provide: knows which failures can be cured, and how."""

    def is_curable(self, error: Exception) -> bool:
        """Whether a remedy may help against an error."""
        ...

    def remedies(self, inputs: Mapping[str, Any], context: RunContext) -> Iterator[Remedy]:
        """What to do for a node with these inputs, one after another, the mildest first."""
        ...

    def hopeless(self, said: str, tried: tuple[Remedy, ...], context: RunContext) -> SdgraphError:
        """The error to report when no remedy is left; `said` is what the last try failed with."""
        ...
