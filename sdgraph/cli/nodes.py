"""`sdgraph nodes`: the catalogue of node types, or the page of one."""

from __future__ import annotations

from typing import Any

import click

from sdgraph.cli.options import json_option
from sdgraph.cli.streams import out, out_json, show_problems, table
from sdgraph.core.catalog import catalog, describe_node
from sdgraph.core.registry import Registry
from sdgraph.core.spec import NodeSpec
from sdgraph.core.suggest import Suggestions
from sdgraph.errors import SettingsError


@click.command
@click.argument("type_id", metavar="[TYPE]", required=False)
@json_option
def nodes(type_id: str | None, as_json: bool) -> int:
    """List the node types that are installed, or describe TYPE with its ports."""
    registry = Registry.installed()
    show_problems(registry.problems)
    if type_id is not None:
        described = describe_node(_spec(type_id, registry))
        if as_json:
            out_json(described)
        else:
            out(_page(described))
    elif as_json:
        out_json(catalog(registry))
    else:
        out(_overview(registry))
    return 0


def _spec(type_id: str, registry: Registry) -> NodeSpec:
    if type_id in registry.specs:
        return registry.specs[type_id]
    near = Suggestions().nearest(type_id, registry.specs)
    hint = f"Did you mean {near!r}?" if near else "`sdgraph nodes` lists them."
    raise SettingsError("node-type-unknown", f"There is no node type {type_id[:60]!r}.", hint)


def _overview(registry: Registry) -> str:
    categories: dict[str, list[NodeSpec]] = {}
    for name in sorted(registry.specs):
        spec = registry.specs[name]
        categories.setdefault(spec.category, []).append(spec)
    width = max((len(name) for name in registry.specs), default=0)
    blocks = [
        "\n".join([category, *(f"  {spec.type.ljust(width)}  {_first_line(spec.doc)}".rstrip() for spec in specs)])
        for category, specs in categories.items()
    ]
    return "\n\n".join(blocks) or "No node types are installed."


def _page(described: dict[str, Any]) -> str:
    parts = [f"{described['type']}  version {described['version']}, pack {described['pack']}", "", described["doc"]]
    inputs = [(port["name"], port["type"], _given(port), _first_line(port["help"])) for port in described["inputs"]]
    outputs = [(port["name"], port["type"], _first_line(port["help"])) for port in described["outputs"]]
    if inputs:
        parts += ["", table(inputs, ("input", "type", "default", "help"))]
    if outputs:
        parts += ["", table(outputs, ("output", "type", "help"))]
    return "\n".join(parts)


def _given(port: dict[str, Any]) -> str:
    text = "required" if port["required"] else repr(port.get("default"))
    if (unit := port.get("unit")) and not port["required"]:
        text += f" {unit}"
    limits = ", ".join(f"{name} {bound}" for name, bound in port.get("constraints", {}).items())
    if choices := port.get("schema", {}).get("enum"):
        limits = f"one of {', '.join(map(str, choices))}"
    return f"{text} ({limits})" if limits else text


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
