"""A graph of 500 nodes is shown, planned and edited."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import expect

from tests.e2e.editor import Editor

COUNT = 500
COLUMNS = 25


def _large() -> dict[str, Any]:
    nodes: dict[str, Any] = {"n0": {"type": "sd.empty_latents", "version": 1}}
    view: dict[str, Any] = {"n0": [0, 0]}
    for number in range(1, COUNT):
        link = {"latents": f"n{number - 1}.latents"}
        nodes[f"n{number}"] = {"type": "latents.flip", "version": 1, "links": link}
        view[f"n{number}"] = [number % COLUMNS * 300, number // COLUMNS * 260]
    outputs = {"last": f"n{COUNT - 1}.latents"}
    return {"schema": "sdgraph/workflow@1", "name": "large", "nodes": nodes, "outputs": outputs, "view": view}


def test_500_nodes_are_shown_planned_and_edited(editor: Editor) -> None:
    editor.drop("large.json", json.dumps(_large()).encode(), "application/json")
    expect(editor.node("n0")).to_be_visible()
    editor.page.keyboard.press("Home")
    expect(editor.nodes).to_have_count(COUNT)
    expect(editor.run_button()).to_have_accessible_name(re.compile(f"^Run, {COUNT} of {COUNT} nodes"))
    editor.page.keyboard.press("Control+a")
    editor.page.keyboard.press("Delete")
    expect(editor.nodes).to_have_count(0)
    editor.undo()
    expect(editor.node("n0")).to_be_attached()
    assert editor.errors == []
