"""Large workflows: copies of one that ships, side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORKFLOWS = Path(__file__).parents[1] / "workflows"
COLUMNS = 5
STEP_PX = (1680, 900)
"""A copy's share of the canvas; txt2img is a little smaller."""


def copies_of(name: str, nodes: int) -> dict[str, Any]:
    """A document of so many nodes: `sample0`, `sample1`, ... for each node of the workflow, the last copy cut short."""
    given: dict[str, Any] = json.loads((WORKFLOWS / f"{name}.json").read_text())
    order = _sources_first(given["nodes"])
    entries: dict[str, Any] = {}
    view: dict[str, list[int]] = {}
    for number in range(nodes):
        copy, node = number // len(order), order[number % len(order)]
        entries[f"{node}{copy}"] = _renamed(given["nodes"][node], copy)
        x, y = given["view"][node]
        view[f"{node}{copy}"] = [x + copy % COLUMNS * STEP_PX[0], y + copy // COLUMNS * STEP_PX[1]]
    outputs = {
        f"{node}{copy}": f"{node}{copy}.{port}"
        for copy in range(nodes // len(order) + 1)
        for node, port in (ref.split(".") for ref in given["outputs"].values())
        if f"{node}{copy}" in entries
    }
    return {
        "schema": given["schema"],
        "name": f"{name} x {nodes}",
        "nodes": entries,
        "outputs": outputs,
        "view": view,
    }


def _renamed(entry: dict[str, Any], copy: int) -> dict[str, Any]:
    links = {port: ref.replace(".", f"{copy}.", 1) for port, ref in entry.get("links", {}).items()}
    values = entry.get("values", {})
    seed = {"seed": values["seed"] + copy} if "seed" in values else {}
    return entry | {"links": links, "values": values | seed}


def _sources_first(nodes: dict[str, Any]) -> list[str]:
    placed: list[str] = []
    while len(placed) < len(nodes):
        for node, entry in nodes.items():
            sources = {ref.split(".")[0] for ref in entry.get("links", {}).values()}
            if node not in placed and sources <= set(placed):
                placed.append(node)
    return placed
