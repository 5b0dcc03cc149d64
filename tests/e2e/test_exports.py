"""What the editor exports runs as it stands, and the picture of a graph shows all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Page, expect

from sdgraph.client import connect
from tests.e2e.editor import RUN_MS, Editor
from tools.serving import Server

PROMPT = 'a small red star, it\'s "big" \\ back'
"""Quotes of both kinds and a backslash, which shells and Python read in their own ways."""

DRAW = """
import json, runpy
from sdgraph import Executor, MemoryStore, Payloads, Registry, build_graph, make_plan

workflow = runpy.run_path({program!r})["wf"]
registry = Registry.installed()
executor = Executor(registry, MemoryStore(Payloads(registry.port_types), budget_bytes=2**30))
report = executor.run(make_plan(build_graph(workflow.to_document(), registry), executor.store))
pixels = report.outputs["image"].to_uint8()
document = workflow.to_document().model_dump(mode="json", by_alias=True, exclude_defaults=True)
spread = int(pixels.max()) - int(pixels.min())
print(json.dumps({{"document": document, "shape": list(pixels.shape), "spread": spread}}))
"""
"""What the README does with a workflow that was built in Python."""


@pytest.fixture
def seeded(editor: Editor) -> Editor:
    """txt2img with a prompt that has to be quoted well."""
    editor.load("txt2img")
    editor.dock("Inputs").get_by_label("Prompt", exact=True).fill(PROMPT)
    editor.fill(editor.dock("Inputs").get_by_label("Steps", exact=True), "4")
    return editor


def _saved(editor: Editor, kind: str, folder: Path) -> Path:
    """What a tab of the export dialog saves, under the name that it gives it."""
    if editor.page.get_by_role("dialog", name="Export").count() == 0:
        editor.page.keyboard.press("Control+e")
    dialog = editor.page.get_by_role("dialog", name="Export")
    dialog.get_by_role("tab", name=kind, exact=True).click()
    expect(dialog.get_by_role("tabpanel")).not_to_have_text("…")
    with editor.page.expect_download() as download:
        dialog.get_by_role("button", name="Save ").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def _executed(folder: Path, *command: str, **variables: str) -> str:
    """What a program prints that runs in a folder."""
    done = subprocess.run(
        command, cwd=folder, env=os.environ | variables, capture_output=True, text=True, timeout=RUN_MS / 1000
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_request_for_a_shell_queues_the_run_of_the_editor(seeded: Editor, server: Server, tmp_path: Path) -> None:
    script = _saved(seeded, "curl", tmp_path)
    queued = json.loads(_executed(tmp_path, "sh", script.name))
    with connect(server.url) as client:
        run = client.wait_for(queued["run_id"])
    assert (run.status, run.inputs["prompt"], run.inputs["seed"], run.inputs["steps"]) == ("done", PROMPT, 1, 4)
    assert [picture["width_px"] for picture in run.model_dump()["outputs"]["image"]] == [64]


def test_the_program_for_the_client_waits_for_the_picture(seeded: Editor, server: Server, tmp_path: Path) -> None:
    _saved(seeded, "File", tmp_path)
    program = _saved(seeded, "Python client", tmp_path)
    printed = _executed(tmp_path, sys.executable, program.name)
    newest: dict[str, Any] = server.get("/api/runs?limit=1")["runs"][0]
    assert (newest["status"], newest["inputs"]["prompt"]) == ("done", PROMPT)
    assert newest["outputs"]["image"][0]["digest"] in printed


def test_the_python_program_builds_the_workflow_of_the_file_and_it_draws(seeded: Editor, tmp_path: Path) -> None:
    exported = json.loads(_saved(seeded, "File", tmp_path).read_text())
    program = _saved(seeded, "Python", tmp_path)
    (tmp_path / "draw.py").write_text(DRAW.format(program=program.name))
    said = json.loads(_executed(tmp_path, sys.executable, "draw.py", SDGRAPH_HOME=str(tmp_path / "home")))
    assert said["document"] == exported
    assert said["shape"] == [1, 64, 64, 3]
    assert said["spread"] > 50, "a red star on light blue is no plain surface"


def _picture_of_graph(page: Page, path: Path) -> Image.Image:
    page.get_by_role("button", name="Workflow menu").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Save a picture of the graph").click()
    assert download.value.suggested_filename == "txt2img.graph.png"
    download.value.save_as(path)
    return Image.open(path).convert("RGB")


def _likeness(one: Image.Image, other: Image.Image) -> float:
    """Share of the pixels of two pictures that look the same."""
    apart = ImageChops.difference(one, other).convert("L").point([255 * (level > 24) for level in range(256)])
    return 1 - sum(apart.histogram()[128:]) / (one.width * one.height)


def test_the_picture_of_the_graph_shows_all_of_it_wherever_the_view_is(editor: Editor, tmp_path: Path) -> None:
    editor.load("txt2img")
    editor.lay_out()
    whole = _picture_of_graph(editor.page, tmp_path / "whole.png")
    assert len(whole.getcolors(1 << 24) or ()) > 500, "cards, links and texts have many colours"
    for key in ("+", "-"):
        editor.page.keyboard.press("0")
        for _ in range(12):
            editor.page.keyboard.press(key)
        editor.wait_until_still()
        other = _picture_of_graph(editor.page, tmp_path / "other.png")
        assert other.size == whole.size
        assert _likeness(whole, other) > 0.99
