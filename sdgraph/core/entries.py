"""The parts of a workflow file, as data."""

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from sdgraph.core.port import PortRef

SCHEMA = "sdgraph/workflow@1"
NODE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
GRAPH_PREFIX = "graph:"

Targets: TypeAlias = str | list[str]
"""A port "node.port", or several that receive the same value."""


class NodeEntry(BaseModel):
    """A node in the file: its type, typed-in values, and links from other nodes' outputs."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: str = Field(min_length=1, max_length=200)
    version: int | None = Field(None, ge=1)
    values: dict[str, Any] = {}
    links: dict[str, str] = {}
    label: str | None = None
    mode: Literal["mute", "bypass"] | None = None


class GraphEntry(BaseModel):
    """Nodes with named inputs and outputs: what a subgraph is, and the core of a workflow."""

    model_config = ConfigDict(extra="forbid", strict=True)

    nodes: dict[str, NodeEntry] = {}
    inputs: dict[str, Targets] = {}
    outputs: dict[str, str] = {}


class WorkflowDocument(GraphEntry):
    """A workflow file."""

    schema_id: Literal["sdgraph/workflow@1"] = Field(alias="schema")
    name: str = ""
    description: str = ""
    graphs: dict[str, GraphEntry] = {}
    view: dict[str, Any] = {}

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        title="sdgraph workflow",
    )


def targets_of(targets: Targets) -> list[PortRef]:
    """The ports that an exposed input feeds."""
    return [parse_ref(target) for target in ([targets] if isinstance(targets, str) else targets)]


def parse_ref(text: str) -> PortRef:
    """ "node.port" as a pair. Without a dot the port is empty, which no node has."""
    node, _, name = text.rpartition(".")
    return PortRef(node, name) if node else PortRef(text, "")


def graph_place(name: str) -> str:
    """How problems name a subgraph's definition: before the node id, "graph:NAME/"."""
    return f"{GRAPH_PREFIX}{name}/"


def to_data(document: WorkflowDocument) -> dict[str, Any]:
    """The document as JSON-able data; empty parts are left out."""
    data: dict[str, Any] = {"schema": SCHEMA, "name": document.name, "description": document.description}
    data |= _graph_data(document)
    data["graphs"] = {name: _graph_data(graph) for name, graph in document.graphs.items()}
    data["view"] = document.view
    return {name: part for name, part in data.items() if part or name == "nodes"}


def _graph_data(graph: GraphEntry) -> dict[str, Any]:
    parts: Mapping[str, Any] = {
        "nodes": {name: _node_data(entry) for name, entry in graph.nodes.items()},
        "inputs": graph.inputs,
        "outputs": graph.outputs,
    }
    return {name: part for name, part in parts.items() if part or name == "nodes"}


def _node_data(entry: NodeEntry) -> dict[str, Any]:
    data: dict[str, Any] = {"type": entry.type}
    if entry.version is not None:
        data["version"] = entry.version
    if entry.values:
        data["values"] = entry.values
    if entry.links:
        data["links"] = entry.links
    if entry.label:
        data["label"] = entry.label
    if entry.mode is not None:
        data["mode"] = entry.mode
    return data
