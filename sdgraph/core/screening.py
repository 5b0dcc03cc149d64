"""Looking at pictures before they leave a run, whatever its workflow says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Screened:
    """A payload that was looked at."""

    value: Any
    """What may leave: the payload itself, or one in which some pictures are hidden."""
    hidden: tuple[int, ...] = ()
    """The places of hidden pictures in the batch, from 0."""


class Screen(Protocol):
    """Decides which pictures may leave runs of this process. No workflow chooses it."""

    def look(self, value: Any) -> Screened:
        """The payload as it may leave. Raises SdgraphError when it can't be judged; then it may not leave."""
        ...
