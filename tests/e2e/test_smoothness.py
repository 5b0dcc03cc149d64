"""Moving about draws nothing again but what moves; counted, because time depends on the machine."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Position, expect

from tests.e2e.editor import Editor
from tools.copies import copies_of
from tools.drawn import count_drawn, drawn, start_counting
from tools.serving import Server

NODES = 70
EXACT = re.compile(r"^\d+ tokens$")
"""Counted by the server; an estimate stands there until it has answered."""
TURNS = 40
LAYERS = 10
"""Fewer has a page whose nodes share one; each row of nodes with a layer of its own would be more."""
_MIDDLE_OF_A_CARD = """() => {
  const { left, top, right, bottom } = document.querySelector(".react-flow").getBoundingClientRect();
  for (const card of document.querySelectorAll("article")) {
    const box = card.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    if (x > left + 300 && x < right - 300 && y > top + 200 && y < bottom - 200) return [x, y];
  }
}"""
_UNDER = """([x, y]) => document.elementFromPoint(x, y).closest("article, .react-flow__pane").tagName"""
FEEDING = {"sample0", "image0", "save0"}
"""What an edit of the first sampler changes the plan of."""


@pytest.fixture
def large(context: BrowserContext, server: Server) -> Editor:
    """Ten copies of txt2img, planned, with the first one at its own size in view."""
    count_drawn(context)
    editor = Editor.opened(context.new_page(), server.url)
    document: dict[str, Any] = copies_of("txt2img", NODES)
    editor.drop("large.json", json.dumps(document).encode(), "application/json")
    expect(editor.nodes).to_have_count(NODES)
    _zoom_to(editor, "sample0")
    expect(editor.node("positive0").get_by_text("tokens")).to_have_text(EXACT)
    start_counting(editor.page)
    return editor


def _zoom_to(editor: Editor, node: str) -> None:
    """Turn the wheel over a node until its fields are there, as they are at 100 %."""
    title = editor.node(node).locator("h3")
    title.hover(position={"x": 4, "y": 4}, force=True)
    steps = editor.node(node).get_by_label("Steps", exact=True)
    for _ in range(TURNS):
        if steps.count() > 0:
            break
        editor.page.mouse.wheel(0, -200)
        editor.page.wait_for_timeout(100)
    editor.wait_until_still()
    expect(editor.node(node).locator("footer")).to_contain_text(re.compile("Will run|Cached"))


def _drag(editor: Editor, where: Locator, position: Position, moves: int = 10) -> str:
    """Drag there and back; gives the view at the far end."""
    where.hover(position=position)
    editor.page.mouse.down()
    box = where.bounding_box()
    assert box is not None
    x, y = box["x"] + position["x"], box["y"] + position["y"]
    for move in range(1, moves + 1):
        editor.page.mouse.move(x + 8 * move, y + 6 * move)
    view = editor.view()
    for move in reversed(range(moves)):
        editor.page.mouse.move(x + 8 * move, y + 6 * move)
    editor.page.mouse.up()
    editor.wait_until_still()
    return view


def test_panning_draws_no_card_and_no_link_again(large: Editor) -> None:
    place = large.bare_place()
    _drag(large, large.canvas, place)  # what comes into view is measured, and its links are drawn to fit
    start_counting(large.page)
    before = large.view()
    assert _drag(large, large.canvas, place) != before
    told = drawn(large.page)
    assert (told.nodes, told.links) == ({}, {})


def test_dragging_a_node_draws_only_its_links_again(large: Editor) -> None:
    large.select("sample0")
    start_counting(large.page)
    _drag(large, large.node("sample0").locator("header"), {"x": 12, "y": 8})
    told = drawn(large.page)
    assert told.nodes == {}, "where a card lies is not its own business"
    assert told.links
    assert all(large.is_link_of("sample0", link) for link in told.links)


def test_editing_a_value_draws_its_field_and_what_depends_on_it(large: Editor) -> None:
    steps = large.node("sample0").get_by_label("Steps", exact=True)
    others = large.node("sample0").get_by_label("Seed", exact=True)
    steps.focus()
    start_counting(large.page)
    steps.press("ArrowUp")
    expect(steps).to_have_value("21")
    expect(others).to_have_value("1")
    assert set(drawn(large.page).nodes) <= FEEDING


@pytest.fixture
def far(large: Editor) -> Editor:
    """The same, from so far away that all of it is in view."""
    large.page.keyboard.press("Home")
    large.wait_until_still()
    expect(large.nodes).to_have_count(NODES)
    expect(large.node("sample0").locator("article")).to_have_attribute("data-distance", "tiny")
    return large


def _begin_to_drag(editor: Editor, x: float, y: float) -> None:
    editor.page.mouse.move(x, y)
    editor.page.mouse.down()
    for move in range(1, 6):
        editor.page.mouse.move(x + 6 * move, y + 4 * move)


def _corner(editor: Editor) -> tuple[float, float]:
    """A bare place of the canvas, in the window."""
    box, place = editor.canvas.bounding_box(), editor.bare_place()
    assert box is not None
    return box["x"] + place["x"], box["y"] + place["y"]


def test_nodes_far_away_share_their_layers_while_the_view_moves(far: Editor) -> None:
    layers: list[int] = []

    def count(told: dict[str, Any]) -> None:
        layers.append(len(told.get("layers", [])))

    devtools = far.page.context.new_cdp_session(far.page)
    devtools.on("LayerTree.layerTreeDidChange", count)
    devtools.send("LayerTree.enable")
    before = far.view()
    _begin_to_drag(far, *_corner(far))
    expect(far.page.locator("[data-moving=view]")).to_have_count(1)
    far.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    far.page.mouse.up()
    assert far.view() != before
    assert 0 < max(layers) < LAYERS


@pytest.mark.parametrize("what", ["view", "nodes"])
def test_nothing_is_looked_for_under_the_pointer_while_something_moves(far: Editor, what: str) -> None:
    x, y = far.page.evaluate(_MIDDLE_OF_A_CARD)
    assert far.page.evaluate(_UNDER, [x, y]) == "ARTICLE"
    before = far.ids()
    _begin_to_drag(far, *(_corner(far) if what == "view" else (x, y)))
    expect(far.page.locator(f"[data-moving={what}]")).to_have_count(1)
    beneath = [x + 30, y + 20]  # where the card has gone in both cases
    assert far.page.evaluate(_UNDER, beneath) == "DIV"
    far.page.mouse.up()
    expect(far.page.locator("[data-moving]")).to_have_count(0)
    assert far.page.evaluate(_UNDER, beneath) == "ARTICLE"
    assert far.ids() == before


def test_ports_far_away_are_places_that_nothing_watches(far: Editor) -> None:
    expect(far.page.locator(".react-flow__handle").first).to_be_attached()
    expect(far.page.locator(".react-flow__handle[aria-label]")).to_have_count(0)
    expect(far.links).not_to_have_count(0)
    _zoom_to(far, "sample0")
    expect(far.port("sample0.denoiser", "input")).to_be_visible()
