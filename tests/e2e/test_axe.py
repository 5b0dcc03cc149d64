"""axe finds nothing to object to in any view of the editor, light or dark, by the rules of WCAG 2.2 A and AA."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import WAIT_MS
from tests.e2e.editor import ROOT, RUN_MS, Editor
from tools.serving import Server

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_VIOLATIONS = """async (rules) => {
  const { violations } = await axe.run(document, { runOnly: rules, resultTypes: ["violations"] });
  const small = (one) => document.querySelector(one.target[0])?.closest(".react-flow__viewport") !== null;
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.filter((one) => id !== "target-size" || !small(one)).map((one) =>
      `${impact} ${id}: ${one.html.slice(0, 160)} (${one.failureSummary.slice(0, 240)})`));
}"""
"""What axe finds. On the canvas targets are as large as people zoom; the panels have the same in full size."""


def _dialog(editor: Editor, keys: str) -> None:
    editor.page.evaluate("document.activeElement?.blur()")
    editor.page.keyboard.press(keys)
    expect(editor.page.get_by_role("dialog").first).to_be_visible()


def _menu(editor: Editor) -> None:
    editor.node("sample").locator("header").click(button="right", position={"x": 12, "y": 8})
    expect(editor.page.get_by_role("menu")).to_be_visible()


def _run_dialog(editor: Editor) -> None:
    editor.dock("History").get_by_role("listitem").first.get_by_role("button").first.click()
    expect(editor.page.get_by_role("dialog").get_by_role("table")).to_be_visible()


def _comparer(editor: Editor) -> None:
    for card in editor.dock("History").get_by_role("listitem").all()[:2]:
        card.hover()
        card.get_by_role("button", name="ompare").click()
    expect(editor.page.get_by_role("dialog", name="Compare").get_by_role("img")).to_have_count(2)


def _stages(editor: Editor) -> None:
    editor.load("staged_dynamic_cfg")
    editor.select("sample")
    expect(editor.dock("Node").get_by_role("slider", name="Scale at 0 %")).to_be_visible()


def _picture(editor: Editor) -> None:
    editor.load("img2img")
    editor.select("picture")
    expect(editor.dock("Node").get_by_label("File", exact=True)).to_be_visible()


def _problems(editor: Editor) -> None:
    editor.select("sd")
    editor.page.keyboard.press("Delete")
    expect(editor.dock("Problems").get_by_role("listitem").first).to_be_visible()


VIEWS: Mapping[str, Callable[[Editor], object]] = {
    "the node panel": lambda editor: (editor.select("sample"), editor.dock("Node")),
    "the inputs": lambda editor: editor.dock("Inputs"),
    "the queue": lambda editor: editor.dock("Queue"),
    "the history": lambda editor: editor.dock("History"),
    "the library": lambda editor: editor.page.keyboard.press("n"),
    "the palette": lambda editor: _dialog(editor, "Tab"),
    "the templates": lambda editor: _dialog(editor, "Control+o"),
    "the exports": lambda editor: _dialog(editor, "Control+e"),
    "the keys": lambda editor: _dialog(editor, "?"),
    "saving": lambda editor: _dialog(editor, "Control+Shift+s"),
    "a menu": _menu,
    "a run": _run_dialog,
    "the comparer": _comparer,
    "the problems": _problems,
    "the stages": _stages,
    "a picture": _picture,
}


@pytest.fixture(params=["light", "dark"])
def themed(request: pytest.FixtureRequest, browser: Browser, server: Server) -> Generator[Editor]:
    """The editor in one theme, and axe in its page."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, color_scheme=request.param, reduced_motion="reduce"
    )
    context.set_default_timeout(WAIT_MS)
    editor = Editor.opened(context.new_page(), server.url)
    editor.page.evaluate(AXE.read_text())
    yield editor
    context.close()


def _two_runs(editor: Editor) -> None:
    """txt2img with two pictures in the history."""
    editor.load("txt2img")
    for seed in ("9301", "9302"):
        inputs = editor.dock("Inputs")
        editor.fill(inputs.get_by_label("Seed", exact=True), seed)
        inputs.get_by_role("button", name="Run", exact=True).click()
        expect(inputs.get_by_role("button", name="Stop")).to_have_count(0, timeout=RUN_MS)
        expect(inputs.get_by_alt_text("Output image")).to_be_visible(timeout=RUN_MS)


def _violations(editor: Editor) -> list[str]:
    found: list[str] = editor.page.evaluate(_VIOLATIONS, RULES)
    return found


def test_no_view_breaks_a_rule(themed: Editor) -> None:
    found = {"the empty canvas": _violations(themed)}
    _two_runs(themed)
    for view, show in VIEWS.items():
        show(themed)
        found[view] = _violations(themed)
        themed.page.keyboard.press("Escape")
    assert {view: broken for view, broken in found.items() if broken} == {}
