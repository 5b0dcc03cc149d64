"""The canvas by fingers: pan, pinch, tap, drag, connect."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from playwright.sync_api import Browser, CDPSession, expect

from tests.e2e.conftest import WAIT_MS
from tests.e2e.editor import Editor
from tools.serving import Server

Point = tuple[float, float]


class Fingers:
    """Fingers on the page of an editor."""

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self._cdp: CDPSession = editor.page.context.new_cdp_session(editor.page)

    def move(self, *ways: tuple[Point, Point], steps: int = 24) -> None:
        """Put a finger down at the start of each way, move all of them to the ends, and lift them."""
        self._send("touchStart", [start for start, _ in ways])
        for step in range(1, steps + 1):
            self._send("touchMove", [_between(start, end, step / steps) for start, end in ways])
            self.editor.page.wait_for_timeout(16)
        self._send("touchEnd", [])
        self.editor.wait_until_still()

    def _send(self, kind: str, points: list[Point]) -> None:
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self._cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def _between(start: Point, end: Point, share: float) -> Point:
    return (start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share)


@pytest.fixture
def touched(browser: Browser, server: Server) -> Generator[Editor]:
    """The editor on a tablet, with txt2img."""
    context = browser.new_context(
        viewport={"width": 1180, "height": 820}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    context.set_default_timeout(WAIT_MS)
    editor = Editor.opened(context.new_page(), server.url)
    editor.load("txt2img")
    editor.wait_until_still()
    yield editor
    context.close()


def _bare(editor: Editor) -> Point:
    box = editor.canvas.bounding_box()
    assert box is not None
    place = editor.bare_place()
    return (box["x"] + place["x"], box["y"] + place["y"])


def _title(editor: Editor, node: str) -> Point:
    box = editor.node(node).locator("h3").bounding_box()
    assert box is not None
    return (box["x"] + 8, box["y"] + box["height"] / 2)


def test_one_finger_pans(touched: Editor) -> None:
    x, y = _bare(touched)
    before = _title(touched, "sample")
    Fingers(touched).move(((x, y), (x + 90, y + 50)))
    after = _title(touched, "sample")
    assert (round(after[0] - before[0]), round(after[1] - before[1])) == pytest.approx((90, 50), abs=14)


def test_two_fingers_zoom_in_and_out(touched: Editor) -> None:
    fingers = Fingers(touched)
    x, y = _bare(touched)
    before = touched.zoom()
    fingers.move(((x, y), (x - 60, y)), ((x + 60, y), (x + 120, y)))
    near = touched.zoom()
    assert near / before == pytest.approx(3, rel=0.1)
    fingers.move(((x - 60, y), (x, y)), ((x + 120, y), (x + 60, y)))
    assert touched.zoom() == pytest.approx(before, rel=0.1)


def test_a_tap_selects_and_a_tap_on_the_canvas_lets_go(touched: Editor) -> None:
    card = touched.node("sample").locator("article")
    touched.page.touchscreen.tap(*_title(touched, "sample"))
    expect(card).to_have_attribute("data-selected", "true")
    touched.page.touchscreen.tap(*_bare(touched))
    expect(card).to_have_attribute("data-selected", "false")


def test_a_finger_drags_a_node_and_the_view_stays(touched: Editor) -> None:
    x, y = _title(touched, "sample")
    view = touched.view()
    Fingers(touched).move(((x, y), (x + 80, y + 40)))
    after = _title(touched, "sample")
    assert (after[0] - x, after[1] - y) == pytest.approx(
        (80, 40), abs=18
    )  # a tap may tremble: the first pixels count as none
    assert touched.view() == view


def test_a_finger_draws_a_link(touched: Editor) -> None:
    source = touched.port("sd.vae", "output").bounding_box()
    assert source is not None
    touched.select("image")
    touched.page.keyboard.press("Control+d")
    expect(touched.nodes).to_have_count(8)
    copy = next(node for node in touched.ids() if node.startswith("image") and node != "image")
    end = touched.port(f"{copy}.vae", "input").bounding_box()
    assert end is not None
    start = (source["x"] + source["width"] / 2, source["y"] + source["height"] / 2)
    Fingers(touched).move((start, (end["x"] + end["width"] / 2, end["y"] + end["height"] / 2)))
    expect(touched.port(f"{copy}.vae", "input")).to_have_attribute("data-connected", "true")
