"""Writes docs/nodes/: one page per node type and an index, made from the catalogue. `python -m tools.node_pages`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sdgraph.core.catalog import catalog
from sdgraph.core.registry import Registry

FOLDER = Path(__file__).parents[1] / "docs" / "nodes"
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "multiple_of": "multiple of"}


def pages() -> dict[str, str]:
    """Each page's text, by file name."""
    known = catalog(Registry.installed())
    nodes = {name: node for name, node in known["nodes"].items() if node["pack"] == "sdgraph"}
    return {"README.md": _index(nodes, known["port_types"])} | {
        f"{name}.md": _page(node) for name, node in nodes.items()
    }


def _index(nodes: dict[str, Any], port_types: dict[str, Any]) -> str:
    rows = [[f"[`{name}`]({name}.md)", _first_sentence(node["doc"])] for name, node in nodes.items()]
    types = [[f"`{name}`", kind["doc"]] for name, kind in port_types.items()]
    return _text(
        "# Nodes",
        "",
        "The node types of the built-in pack, and the types of what travels between them. These pages are made by",
        "`make docs`; `sdgraph nodes TYPE` shows the same on the command line.",
        "",
        *_table(["Node type", "What it does"], rows),
        "## Port types",
        "",
        *_table(["Type", "What it is"], types),
    )


def _page(node: dict[str, Any]) -> str:
    facts = [f"Version {node['version']}", f"runs in the {node['lane']} lane"]
    facts += ["writes files"] if node["saves"] else []
    inputs = [
        [f"`{port['name']}`", f"`{port['type']}`", _default(port), _bounds(port), _cell(port["help"])]
        for port in node["inputs"]
    ]
    outputs = [[f"`{port['name']}`", f"`{port['type']}`", _cell(port["help"])] for port in node["outputs"]]
    return _text(
        f"# {node['title']} · `{node['type']}`",
        "",
        node["doc"],
        "",
        ", ".join(facts) + ".",
        "",
        *_section("Inputs", ["Port", "Type", "Default", "Allowed", "Meaning"], inputs),
        *_section("Outputs", ["Port", "Type", "Meaning"], outputs),
        *_models(node["inputs"]),
    )


def _models(ports: list[dict[str, Any]]) -> list[str]:
    """The fields of the objects that ports take, such as a stage of sampling."""
    lines: list[str] = []
    for name, schema in sorted(_definitions(ports).items()):
        fields = schema.get("properties", {})
        rows = [
            [f"`{field}`", _type(about), _json(about, "default") or "required", _schema_bounds(about)]
            for field, about in fields.items()
        ]
        lines += [f"## {name}", "", _paragraph(schema.get("description", "")), ""]
        lines += _table(["Field", "Type", "Default", "Allowed"], rows)
    return lines


def _definitions(ports: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: schema for port in ports for name, schema in port.get("schema", {}).get("$defs", {}).items()}


def _type(about: dict[str, Any]) -> str:
    for choice in ("anyOf", "oneOf"):
        if choice in about:
            return " or ".join(_type(option) for option in about[choice])
    if "enum" in about:
        return "one of " + ", ".join(f"`{json.dumps(option)}`" for option in about["enum"])
    if "const" in about:
        return f"`{json.dumps(about['const'])}`"
    if "$ref" in about:
        name = about["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if about.get("type") == "array":
        items = about["prefixItems"] if "prefixItems" in about else [about.get("items", {})]
        return "list of " + ", ".join(_type(item) for item in items)
    return str(about.get("type", "anything"))


def _schema_bounds(about: dict[str, Any]) -> str:
    names = {
        "minimum": "≥",
        "exclusiveMinimum": ">",
        "maximum": "≤",
        "exclusiveMaximum": "<",
        "multipleOf": "multiple of",
    }
    return ", ".join(f"{sign} {about[name]}" for name, sign in names.items() if name in about)


def _default(port: dict[str, Any]) -> str:
    if port["required"]:
        return "required"
    return _json(port, "default") or "none"


def _json(about: dict[str, Any], name: str) -> str:
    if name not in about:
        return ""
    text = json.dumps(about[name], ensure_ascii=False)
    return f"`{_escaped(text)}`" if len(text) <= 60 else "see below"


def _bounds(port: dict[str, Any]) -> str:
    limits = port.get("constraints", {})
    shown = [f"{sign} {limits[name]}" for name, sign in _BOUNDS.items() if name in limits]
    if "max_length" in limits:
        unit = "entries" if port["type"].startswith("List") else "characters"
        shown.append(f"{limits.get('min_length', 0)} to {limits['max_length']:,} {unit}")
    choices = port.get("schema", {}).get("enum", [])
    shown += [f"`{_escaped(json.dumps(choice))}`" for choice in choices]
    shown += [str(port["unit"])] if "unit" in port else []
    shown += [] if port["linkable"] else ["a value, no link"]
    return ", ".join(shown)


def _section(title: str, head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"## {title}", "", *_table(head, rows)] if rows else []


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows), ""]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    return _escaped(_paragraph(text))


def _paragraph(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _first_sentence(text: str) -> str:
    return _cell(text.split("\n\n")[0])


def _text(*lines: str) -> str:
    return "\n".join(lines).rstrip() + "\n"


def write() -> None:
    """Write every page, and remove those of node types that are gone."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
