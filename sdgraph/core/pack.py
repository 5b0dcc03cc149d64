"""A node pack: what an installed distribution adds to sdgraph, found by the entry point group `sdgraph.packs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sdgraph.core.node import Node
from sdgraph.core.porttype import PortType


@dataclass(frozen=True)
class NodePack:
    """Node types, the port types that they introduce, and the services that they ask the run context for."""

    name: str
    version: str
    nodes: tuple[type[Node[Any]], ...]
    port_types: tuple[PortType[Any], ...] = ()
    services: Mapping[type, Callable[[], object]] = field(default_factory=dict[type, Callable[[], object]])
    """Factories of process-wide objects such as the model pool; called at most once, when first asked for."""
