"""Workflows come out of pictures, files and templates."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.e2e.editor import RUN_MS, Editor, document
from tools.serving import Server

_BORDER = "(one) => getComputedStyle(one).borderTopColor.match(/[0-9.]+/g).map(Number)"


def test_a_dropped_picture_opens_the_workflow_that_drew_it(
    editor: Editor, server: Server, context: BrowserContext
) -> None:
    editor.load("txt2img")
    editor.fill(editor.dock("Inputs").get_by_label("Seed", exact=True), "99")
    editor.run()
    editor.wait_for_picture("save", RUN_MS)
    newest = server.get("/api/runs?limit=1")["runs"][0]["run_id"]
    picture = server.get(f"/api/runs/{newest}")["outputs"]["image"][0]
    with urllib.request.urlopen(f"{server.url}api/results/{picture['digest']}") as answer:
        content = answer.read()

    other = Editor.opened(context.new_page(), server.url)
    other.page.keyboard.press("Control+a")
    other.page.keyboard.press("Delete")
    other.drop("result.png", content, "image/png")
    expect(other.nodes).to_have_count(len(document("txt2img")["nodes"]))
    expect(other.dock("Inputs").get_by_label("Seed", exact=True)).to_have_value("99")


def test_unknown_nodes_are_shown_and_saved_as_they_are(editor: Editor, tmp_path: Path) -> None:
    given = document("txt2img")
    unknown = {"type": "other.pack", "version": 9, "values": {"anything": [1, {"deep": None}]}}
    editor.open_document(given | {"nodes": given["nodes"] | {"mystery": unknown}})
    problem = editor.dock("Problems").get_by_role("button", name="other.pack")
    problem.click()
    expect(editor.node("mystery")).to_be_in_viewport()
    expect(editor.node("mystery")).to_contain_text("Unknown")
    colours = [editor.node(name).locator("article").evaluate(_BORDER) for name in ("mystery", "sample")]
    assert [red > green + 60 for red, green, _ in colours] == [True, False], colours

    editor.page.keyboard.press("Control+e")
    with editor.page.expect_download() as download:
        editor.page.get_by_role("button", name="Save txt2img.json").click()
    download.value.save_as(tmp_path / "saved.json")
    saved = json.loads((tmp_path / "saved.json").read_text())
    assert saved["nodes"]["mystery"] == unknown


def test_a_workflow_is_exported_as_a_program_and_as_requests(editor: Editor) -> None:
    editor.load("txt2img")
    editor.page.keyboard.press("Control+e")
    dialog = editor.page.get_by_role("dialog", name="Export")
    for tab, words in (("curl", "/api/runs"), ("Python client", "sdgraph.client"), ("Python", "wf.add(")):
        dialog.get_by_role("tab", name=tab, exact=True).click()
        expect(dialog.get_by_role("tabpanel")).to_contain_text(words)


def test_a_file_that_is_no_workflow_is_refused_in_words(editor: Editor) -> None:
    editor.load("txt2img")
    editor.drop("notes.json", b'{"not": "a workflow"}', "application/json")
    expect(editor.page.get_by_role("alert").or_(editor.page.get_by_role("status")).first).to_be_visible()
    expect(editor.nodes).to_have_count(len(document("txt2img")["nodes"]))


@pytest.mark.parametrize("name", ["txt2img", "img2img", "controlnet_canny", "multistage"])
def test_cards_of_a_template_lie_apart_also_when_they_show_what_they_made(editor: Editor, name: str) -> None:
    editor.load(name)
    editor.run()
    for output in document(name)["outputs"].values():
        editor.wait_for_tone(output.split(".")[0], "done", RUN_MS)
    expect(editor.run_button()).to_have_accessible_name(re.compile("cached"), timeout=RUN_MS)
    previews = editor.page.get_by_alt_text(re.compile("^Preview of"))
    expect(previews.first).to_be_visible()
    editor.wait_until_still()
    assert editor.lies_apart()
