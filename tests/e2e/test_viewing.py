"""What is shown is as large as it can be."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.editor import Editor

READABLE = 0.7
"""Letters of 12 px are more than 8 px high."""
_IN_VIEW = """() => {
  const { left, top, right, bottom } = document.querySelector(".react-flow").getBoundingClientRect();
  const inside = (box) => box.left >= left && box.top >= top && box.right <= right && box.bottom <= bottom;
  return [...document.querySelectorAll(".react-flow__node")]
    .filter((node) => inside(node.getBoundingClientRect())).map((node) => node.dataset.id);
}"""


def _in_view(editor: Editor) -> set[str]:
    """Nodes of which all is to be seen."""
    editor.wait_until_still()
    found: list[str] = editor.page.evaluate(_IN_VIEW)
    return set(found)


@pytest.mark.parametrize("laid_out", [False, True], ids=["as shipped", "laid out"])
def test_a_usual_workflow_can_be_read_as_a_whole(editor: Editor, laid_out: bool) -> None:
    editor.load("txt2img")
    if laid_out:
        editor.lay_out()
    assert _in_view(editor) == editor.ids()
    assert READABLE <= editor.zoom() <= 1


def test_what_is_selected_is_shown_as_large_as_it_fits(editor: Editor) -> None:
    editor.load("txt2img")
    whole = editor.zoom()
    editor.select("positive")
    editor.page.keyboard.press("z")
    assert "positive" in _in_view(editor)
    assert whole < editor.zoom() <= 1
    editor.page.keyboard.press("Escape")
    expect(editor.node("positive").locator("article")).to_have_attribute("data-selected", "false")
    editor.page.keyboard.press("Home")
    assert _in_view(editor) == editor.ids()
    view = editor.view()
    editor.page.keyboard.press("z")
    editor.wait_until_still()
    assert editor.view() == view, "with nothing selected there is nothing to show"
