"""A run goes on whatever happens to the window, the worker or the server."""

from __future__ import annotations

import re

from playwright.sync_api import BrowserContext, expect

from tests.e2e.editor import RUN_MS, Editor
from tools.serving import Server

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
