"""Nodes of workflow documents, shortly written."""

from __future__ import annotations

from typing import Any


def node(kind: str, values: dict[str, Any] | None = None, /, **links: str) -> dict[str, Any]:
    """The entry of a node in a document."""
    return {"type": kind, "values": values or {}, "links": links}


def model(name: str) -> dict[str, Any]:
    """A loader of a small model with random weights."""
    return node("sd.load_checkpoint", {"source": f"synthetic:{name}-tiny"})
