"""The stages of the staged sampler and their courses of guidance, by mouse and by keyboard."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.editor import Editor


@pytest.fixture
def panel(editor: Editor) -> Locator:
    """The panel of a sampler with three stages; the first one is open, its guidance falls from 4 to 2.5."""
    editor.load("staged_dynamic_cfg")
    editor.select("sample")
    return editor.dock("Node")


def _points(panel: Locator) -> Locator:
    return panel.get_by_role("slider", name=re.compile("^Scale at"))


def _titles(panel: Locator) -> Locator:
    """The heads of the stages' cards: "8 x euler"."""
    return panel.locator("ol > li button[aria-expanded]")


def _dragged(panel: Locator, point: Locator, to: tuple[float, float]) -> None:
    """Drag a point to a place of the curve, as shares of its width and height."""
    curve = panel.get_by_role("group", name="Curve of").bounding_box()
    start = point.bounding_box()
    assert curve is not None
    assert start is not None
    mouse = panel.page.mouse
    mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    mouse.down()
    mouse.move(curve["x"] + to[0] * curve["width"], curve["y"] + to[1] * curve["height"], steps=8)
    mouse.up()


def test_a_course_is_bent_by_mouse(panel: Locator, editor: Editor) -> None:
    panel.get_by_role("group", name="Curve of").scroll_into_view_if_needed()
    _dragged(panel, _points(panel).first, (0.04, 0.12))
    expect(panel.get_by_label("From", exact=True)).to_have_value(re.compile(r"^4\.[5-9]|^5"))
    curve = panel.get_by_role("group", name="Curve of")
    box = curve.bounding_box()
    assert box is not None
    expect(_points(panel)).to_have_count(2)
    curve.dblclick(position={"x": box["width"] * 0.35, "y": box["height"] * 0.2})
    expect(_points(panel)).to_have_count(6)
    expect(panel.get_by_role("radio", name="Points")).to_be_checked()
    editor.undo()
    editor.undo()
    expect(panel.get_by_label("From", exact=True)).to_have_value("4")


def test_a_course_is_bent_by_keyboard(panel: Locator) -> None:
    keyboard = panel.page.keyboard
    _points(panel).first.focus()
    for key in ("ArrowUp", "ArrowUp", "Shift+ArrowUp"):
        keyboard.press(key)
    expect(panel.get_by_label("From", exact=True)).to_have_value("5.2")
    keyboard.press("+")
    expect(_points(panel)).to_have_count(6)
    keyboard.press("Tab")
    added = _points(panel).nth(1)
    expect(added).to_be_focused()
    before = added.get_attribute("aria-label")
    keyboard.press("Shift+ArrowRight")
    expect(added).not_to_have_attribute("aria-label", before or "")
    keyboard.press("Delete")
    expect(_points(panel)).to_have_count(5)


def test_stages_are_split_moved_and_removed_by_mouse(panel: Locator) -> None:
    expect(_titles(panel)).to_contain_text(["8 × euler", "8 × dpmpp_2m", "4 × dpmpp_2m"])
    panel.get_by_role("button", name="Move stage 1 down").click()
    expect(_titles(panel)).to_contain_text(["8 × dpmpp_2m", "8 × euler", "4 × dpmpp_2m"])
    panel.get_by_role("button", name="Split stage 3 in two").click()
    expect(_titles(panel)).to_have_count(4)
    panel.get_by_role("button", name="Remove stage 2").click()
    expect(_titles(panel)).to_contain_text(["8 × dpmpp_2m", "2 × dpmpp_2m", "2 × dpmpp_2m"])
    panel.get_by_role("button", name=re.compile("^Stage 3,")).click()
    expect(_titles(panel).nth(2)).to_have_attribute("aria-expanded", "true")


def test_a_stage_is_moved_on_and_on_by_keyboard(panel: Locator) -> None:
    keyboard = panel.page.keyboard
    panel.get_by_role("button", name="Move stage 1 down").focus()
    for _ in range(3):  # there is no further than the end
        keyboard.press("Enter")
    expect(_titles(panel)).to_contain_text(["8 × dpmpp_2m", "4 × dpmpp_2m", "8 × euler"])
    expect(panel.get_by_role("button", name="Move stage 3 down")).to_be_focused()
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(_titles(panel)).to_have_count(4)
    panel.get_by_role("button", name="Remove stage 4").focus()
    keyboard.press("Space")
    expect(_titles(panel)).to_have_count(3)
