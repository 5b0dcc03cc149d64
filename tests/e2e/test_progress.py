"""The foot of a node: why it will run, how far it is, and what it took."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from tests.e2e.editor import RUN_MS, Editor

_SHARE = """(ring) => {
  const [drawn, around] = ring.querySelectorAll("circle")[1].getAttribute("stroke-dasharray").split(" ").map(Number);
  return drawn / around;
}"""


def _foot(editor: Editor, node: str) -> Locator:
    return editor.node(node).locator("footer")


def test_pointing_at_a_foot_tells_why_and_the_run_button_adds_up(editor: Editor) -> None:
    editor.load("txt2img")
    editor.fill(editor.dock("Inputs").get_by_label("Seed", exact=True), "8901")
    editor.run()
    editor.wait_for_picture("save", RUN_MS)
    editor.fill(editor.dock("Inputs").get_by_label("Guidance", exact=True), "5")
    expect(_foot(editor, "sample")).to_contain_text("Will run")
    _foot(editor, "sample").hover()
    tip = editor.page.get_by_role("tooltip")
    expect(tip).to_contain_text(re.compile("guidance.*3.*5"))
    expect(editor.page.get_by_text(re.compile(r"^[345] of 7 nodes, (about|under) "))).to_be_visible()
    editor.page.keyboard.press("Escape")
    expect(tip).to_have_count(0)


def test_a_ring_fills_while_a_node_runs_and_its_time_stands_there_afterwards(editor: Editor) -> None:
    editor.load("txt2img")
    editor.fill(editor.dock("Inputs").get_by_label("Seed", exact=True), "8902")
    editor.fill(editor.dock("Inputs").get_by_label("Steps", exact=True), "500")
    editor.run()
    foot = _foot(editor, "sample")
    expect(foot).to_contain_text(re.compile(r"Step \d+ of 500"), timeout=RUN_MS)
    ring = foot.locator("svg")
    before = float(ring.evaluate(_SHARE))
    editor.page.wait_for_function(
        "([foot, before]) => Number(/Step (\\d+)/.exec(foot.textContent)?.[1] ?? 500) > 500 * before + 20",
        arg=[foot.element_handle(), before],
    )
    assert float(ring.evaluate(_SHARE)) > before
    expect(foot).to_contain_text(re.compile(r"Ran in [\d.]+ s"), timeout=RUN_MS)
