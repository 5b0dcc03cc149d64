"""Inputs, history and comparing: the workflow for people who do not edit graphs."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.editor import RUN_MS, Editor


def _run_with_seed(editor: Editor, seed: str) -> None:
    panel = editor.dock("Inputs")
    editor.fill(panel.get_by_label("Seed", exact=True), seed)
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(panel.get_by_role("button", name="Stop")).to_have_count(0, timeout=RUN_MS)
    expect(panel.get_by_alt_text("Output image")).to_be_visible(timeout=RUN_MS)


def test_a_form_runs_the_workflow_and_its_history_restores_and_compares(editor: Editor) -> None:
    editor.load("txt2img")
    prompt = editor.dock("Inputs").get_by_label("Prompt", exact=True)
    prompt.fill("a small turquoise ring on a white background")
    for seed in ("1201", "1202"):
        _run_with_seed(editor, seed)

    history = editor.dock("History")
    search = history.get_by_role("searchbox")
    cards = history.get_by_role("listitem")
    search.fill("turquoise")
    expect(cards).to_have_count(2)
    search.fill("turquoise seed:1201")
    expect(cards).to_have_count(1)

    cards.first.get_by_role("button", name="turquoise").click()
    dialog = editor.page.get_by_role("dialog", name="txt2img")
    expect(dialog.get_by_alt_text("Output image")).to_be_visible()
    expect(dialog.get_by_role("table")).to_contain_text("sample")
    dialog.get_by_role("button", name="Open workflow").click()
    expect(editor.dock("Inputs").get_by_label("Seed", exact=True)).to_have_value("1201")

    history = editor.dock("History")
    search.fill("turquoise")
    expect(cards).to_have_count(2)
    for card in (cards.nth(0), cards.nth(1)):
        card.hover()
        card.get_by_role("button", name="ompare").click()
    comparer = editor.page.get_by_role("dialog", name="Compare")
    slider = comparer.get_by_role("slider", name="How much of the first picture is shown")
    expect(comparer.get_by_role("img")).to_have_count(2)
    slider.press("ArrowRight")
    expect(slider).to_have_value("51")
    first = comparer.get_by_alt_text("On the left: 1")
    box = first.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    editor.page.mouse.move(box["x"] + box["width"] / 2, middle)
    editor.page.mouse.down()
    editor.page.mouse.move(box["x"] + box["width"] * 0.8, middle, steps=6)
    editor.page.mouse.up()
    expect(slider).to_have_value("80")
    expect(first).to_have_css("clip-path", re.compile(r"^inset\(0px (19\.\d+|20(\.\d+)?)% 0px 0px\)$"))


def test_a_port_is_exposed_and_hidden_again(editor: Editor) -> None:
    editor.add("empty latents")
    editor.dock("Node").get_by_role("button", name="Expose batch as an input").click()
    inputs = editor.dock("Inputs")
    expect(inputs.get_by_label("Batch", exact=True)).to_have_value("1")
    editor.dock("Node").get_by_role("button", name="No longer expose batch").click()
    expect(editor.dock("Inputs").get_by_text("No inputs yet")).to_be_visible()
