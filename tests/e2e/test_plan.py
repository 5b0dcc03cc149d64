"""What will run is known before anybody presses Run."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.editor import RUN_MS, Editor


def test_a_changed_seed_shows_which_nodes_will_run_and_why(editor: Editor) -> None:
    editor.load("txt2img")
    editor.run()
    editor.wait_for_picture("save", RUN_MS)
    editor.select("sample")
    expect(editor.plan_of("sample")).to_have_text("Cached")

    panel = editor.dock("Node")
    editor.fill(panel.get_by_label("Seed", exact=True), "4711")
    expect(editor.plan_of("sample")).to_have_text("Will run")
    expect(panel.get_by_label("Plan")).to_contain_text("4711")
    editor.select("image")
    expect(editor.plan_of("image")).to_have_text("Will run")
    for node in ("positive", "negative", "sd"):
        editor.select(node)
        expect(editor.plan_of(node)).not_to_have_text("Will run")

    editor.undo()
    editor.select("sample")
    expect(editor.plan_of("sample")).to_have_text("Cached")


def test_a_rolling_seed_is_drawn_anew_before_every_run(editor: Editor) -> None:
    editor.load("txt2img")
    panel = editor.dock("Inputs")
    field = panel.get_by_label("Seed", exact=True)
    expect(field).to_have_value("1")
    panel.get_by_role("button", name="Draw a new seed before every run").click()
    editor.run()
    expect(field).not_to_have_value("1")
    editor.wait_for_picture("save", RUN_MS)
