"""Measuring what nodes take while they run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from sdgraph.core.context import RunContext


class Metering(Protocol):
    """A service that a pack may provide: is around every run of a node on the device lane."""

    def measuring(
        self, node_type: str, inputs: Mapping[str, Any], context: RunContext
    ) -> AbstractContextManager[object]:
        """A node of this type runs within the `with` block, with these inputs."""
        ...
