"""The catalogue: every known node type and port type as JSON-able data, for `sdgraph nodes` and for editors."""

from __future__ import annotations

from typing import Any

from sdgraph.core.docs import port_docs
from sdgraph.core.port import PortMeta
from sdgraph.core.porttype import ANY, PortType
from sdgraph.core.registry import Registry
from sdgraph.core.spec import InputSpec, NodeSpec

CATALOG = "sdgraph/catalog@1"


def catalog(registry: Registry) -> dict[str, Any]:
    """Everything that is known about nodes and ports; types sorted by id, ports in declared order."""
    return {
        "schema": CATALOG,
        "nodes": {name: describe_node(registry.specs[name]) for name in sorted(registry.specs)},
        "port_types": {name: _port_type(registry.port_types[name]) for name in sorted(registry.port_types)},
        "packs": {pack.name: pack.version for pack in registry.packs.values()},
        "problems": [problem.to_json() for problem in registry.problems],
    }


def describe_node(spec: NodeSpec) -> dict[str, Any]:
    """A node type: its texts, and its ports with type, default, constraints and help."""
    output_docs = port_docs(spec.cls.outputs_class)
    return {
        "type": spec.type,
        "version": spec.version,
        "title": spec.title,
        "category": spec.category,
        "pack": spec.pack,
        "doc": spec.doc,
        "lane": spec.cls.node_lane,
        "saves": spec.has_deliver,
        "folds": spec.cls.node_fold,
        "inputs": [_input(port, port_docs(spec.cls).get(port.name, "")) for port in spec.inputs.values()],
        "outputs": [
            {"name": port.name, "type": port.type_name, "help": output_docs.get(port.name, "")}
            for port in spec.outputs.values()
        ],
    }


def _input(port: InputSpec, help: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": port.name,
        "type": port.type_name,
        "required": port.required,
        "optional": port.optional,
        "help": help,
        **_shown(port.meta),
    }
    if port.title:
        described["title"] = port.title
    if port.is_value and not port.required:
        described["default"] = port.to_json(port.default)
    if port.is_value and port.type_name != ANY:
        described["schema"] = port.adapter.json_schema()
    return described


def _shown(meta: PortMeta) -> dict[str, Any]:
    described: dict[str, Any] = {"linkable": meta.linkable, "lazy": meta.lazy}
    if meta.constraints:
        described["constraints"] = dict(meta.constraints)
    if meta.unit:
        described["unit"] = meta.unit
    if meta.widget:
        described["widget"] = meta.widget
    return described


def _port_type(kind: PortType[Any]) -> dict[str, Any]:
    return {"doc": kind.doc, "color": kind.color, "stored": kind.codec is not None}
