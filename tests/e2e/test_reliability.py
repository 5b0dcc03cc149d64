"""A run goes on whatever happens to the window, the worker or the server."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from tests.e2e.editor import RUN_MS, Editor
from tools.serving import Server, serving

LONG = "400"
"""Steps, so that a run is still going when something is done to it."""


def _started(editor: Editor, seed: int) -> None:
    """A long run whose sampler is at work. Runs with other seeds share nothing that would make it short."""
    editor.load("txt2img")
    editor.fill(editor.dock("Inputs").get_by_label("Seed", exact=True), str(seed))
    editor.fill(editor.dock("Inputs").get_by_label("Steps", exact=True), LONG)
    editor.run()
    editor.wait_for_tone("sample", "running", RUN_MS)


def test_a_reload_during_a_run_shows_it_again_to_its_end(context: BrowserContext, server: Server) -> None:
    editor = Editor.opened(context.new_page(), server.url)
    _started(editor, 7701)
    editor.page.reload()
    editor.wait()
    editor.wait_for_tone("sample", "running", RUN_MS)
    editor.wait_for_picture("save", RUN_MS)


def test_a_killed_worker_costs_the_run_one_retry(context: BrowserContext, server: Server) -> None:
    editor = Editor.opened(context.new_page(), server.url)
    _started(editor, 7702)
    server.kill_worker()
    editor.wait_for_picture("save", RUN_MS)
    run = server.get("/api/runs?input=seed:7702&limit=1")["runs"][0]
    assert (run["status"], run["attempts"]) == ("done", 2)


def test_a_run_is_stopped(context: BrowserContext, server: Server) -> None:
    editor = Editor.opened(context.new_page(), server.url)
    _started(editor, 7703)
    editor.page.keyboard.press("Control+.")
    expect(editor.dock("Queue").get_by_text(re.compile("^Cancelled")).first).to_be_visible(timeout=RUN_MS)


def test_the_editor_reconnects_to_a_server_that_comes_back_and_loses_no_edit(
    context: BrowserContext, tmp_path: Path
) -> None:
    with serving(tmp_path / "home") as first:
        editor = Editor.opened(context.new_page(), first.url)
        editor.load("txt2img")
        port = re.findall(r":(\d+)/", first.url)[0]
    banner = editor.page.get_by_text("The server does not answer. Your work is kept here.")
    expect(banner).to_be_visible()
    editor.fill(editor.dock("Inputs").get_by_label("Steps", exact=True), "2")
    with serving(tmp_path / "home", "--port", port):
        expect(banner).to_have_count(0)
        expect(editor.dock("Inputs").get_by_label("Steps", exact=True)).to_have_value("2")
        editor.run()
        editor.wait_for_picture("save", RUN_MS)
    assert editor.errors == []


def test_a_named_workflow_is_saved_as_one_works_and_is_among_the_recent_ones(
    context: BrowserContext, server: Server
) -> None:
    editor = Editor.opened(context.new_page(), server.url)
    editor.load("txt2img")
    editor.page.keyboard.press("Control+Shift+s")
    editor.page.get_by_role("dialog", name="Save as").get_by_role("textbox").fill("kept by itself")
    editor.page.keyboard.press("Enter")
    expect(editor.page.get_by_text("Saved", exact=True)).to_be_visible()
    with editor.page.expect_response(lambda answer: answer.request.method == "PUT" and answer.ok):
        editor.fill(editor.dock("Inputs").get_by_label("Seed", exact=True), "31337")
    kept = server.get("/api/workflows/kept%20by%20itself")
    assert kept["nodes"]["sample"]["values"]["seed"] == 31337

    menu = editor.page.get_by_role("button", name="Workflow menu")
    menu.click()
    editor.page.get_by_role("menuitem", name="New workflow").click()
    expect(editor.nodes).to_have_count(0)
    menu.click()
    editor.page.get_by_role("menuitem", name="kept by itself").click()
    expect(editor.dock("Inputs").get_by_label("Seed", exact=True)).to_have_value("31337")
