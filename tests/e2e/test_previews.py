"""Every node shows what it made, while it is drawn and afterwards."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from tests.e2e.editor import RUN_MS, Editor

_HEIGHTS = """(card) => {
  window.heights = new Set();
  new ResizeObserver(() => window.heights.add(card.offsetHeight)).observe(card);
}"""


def _preview(editor: Editor, node: str, of: str) -> Locator:
    return editor.node(node).get_by_alt_text(f"Preview of {of}")


def _run_with_seed(editor: Editor, seed: int, steps: int = 20) -> None:
    inputs = editor.dock("Inputs")
    editor.fill(inputs.get_by_label("Seed", exact=True), str(seed))
    editor.fill(inputs.get_by_label("Steps", exact=True), str(steps))
    editor.run()


def test_pictures_latents_and_values_are_shown_after_a_run_and_after_a_reload(editor: Editor) -> None:
    editor.load("txt2img")
    _run_with_seed(editor, 8801)
    for turn in ("after the run", "after a reload"):
        expect(_preview(editor, "image", "image"), turn).to_be_visible(timeout=RUN_MS)
        expect(_preview(editor, "sample", "latents"), turn).to_be_visible()
        expect(editor.node("positive").get_by_text("1 prompt"), turn).to_be_visible()
        editor.page.evaluate("sessionStorage.removeItem('sdgraph.run'); localStorage.removeItem('sdgraph.run')")
        editor.page.reload()
        editor.wait()
    assert editor.errors == []


def test_what_is_drawn_appears_on_the_node_that_people_see_and_nothing_jumps(editor: Editor) -> None:
    editor.load("txt2img")
    _run_with_seed(editor, 8802)
    editor.wait_for_picture("save", RUN_MS)  # a preview may be of what another run has left in the store
    expect(_preview(editor, "sample", "latents")).to_be_visible(timeout=RUN_MS)
    expect(editor.run_button()).to_contain_text("Run")
    editor.node("sample").locator("article").evaluate(_HEIGHTS)
    _run_with_seed(editor, 8803, steps=400)
    live = editor.node("sample").get_by_alt_text("What is being drawn")
    expect(live, "the sampler is taken apart into stages, and they draw").to_be_visible(timeout=RUN_MS)
    editor.wait_for_picture("save", RUN_MS)
    expect(_preview(editor, "sample", "latents")).to_be_visible()
    expect(live).to_have_count(0)
    heights: list[int] = editor.page.evaluate("[...window.heights]")
    assert len(heights) == 1


def test_a_changed_value_leaves_the_old_picture_faint(editor: Editor) -> None:
    editor.load("txt2img")
    _run_with_seed(editor, 8804)
    shown = [editor.node(node).locator("[data-stale]") for node in ("image", "save")]
    for made in shown:
        expect(made).to_have_attribute("data-stale", "false", timeout=RUN_MS)
    editor.fill(editor.dock("Inputs").get_by_label("Seed", exact=True), "8805")
    for made in shown:
        expect(made).to_have_attribute("data-stale", "true")
    editor.undo()
    for made in shown:
        expect(made).to_have_attribute("data-stale", "false")


def test_a_picture_that_only_the_plan_knew_stays_faint_after_a_change(editor: Editor) -> None:
    editor.load("txt2img")
    _run_with_seed(editor, 8808)
    expect(_preview(editor, "image", "image")).to_be_visible(timeout=RUN_MS)
    expect(editor.run_button()).to_have_accessible_name(re.compile("^Run, All "))
    editor.page.evaluate("sessionStorage.removeItem('sdgraph.run'); localStorage.removeItem('sdgraph.run')")
    editor.page.reload()
    editor.wait()
    shown = editor.node("image").locator("[data-stale]")
    expect(shown).to_have_attribute("data-stale", "false")
    before = _preview(editor, "image", "image").get_attribute("src")
    editor.fill(editor.dock("Inputs").get_by_label("Seed", exact=True), "8809")
    expect(shown).to_have_attribute("data-stale", "true")
    expect(_preview(editor, "image", "image")).to_be_visible()
    assert _preview(editor, "image", "image").get_attribute("src") == before


def test_a_subgraph_shows_what_it_gives_and_its_inside_too(editor: Editor) -> None:
    editor.load("multistage")
    editor.run()
    expect(_preview(editor, "compose", "image")).to_be_visible(timeout=RUN_MS)
    editor.node("compose").locator("header").dblclick(position={"x": 12, "y": 8})
    expect(editor.page.get_by_alt_text("Preview of latents").first).to_be_visible()


def test_far_away_cards_ask_for_nothing(editor: Editor) -> None:
    editor.load("txt2img")
    _run_with_seed(editor, 8806)
    expect(_preview(editor, "image", "image")).to_be_visible(timeout=RUN_MS)
    editor.page.keyboard.press("0")
    asked: list[str] = []
    editor.canvas.hover(position=editor.bare_place())
    for _ in range(30):
        editor.page.mouse.wheel(0, 200)
    expect(editor.node("image").locator("article")).to_have_attribute("data-distance", "tiny")
    editor.page.on("request", lambda request: asked.append(request.url))
    expect(editor.page.get_by_alt_text("Preview of image")).to_have_count(0)
    _run_with_seed(editor, 8807)
    expect(editor.node("image").locator("article")).to_have_attribute("data-tone", "done", timeout=RUN_MS)
    assert not [url for url in asked if "/api/previews/" in url]
