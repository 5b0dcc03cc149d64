"""Nodes dragged from the library go onto the canvas, or into a link."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from tests.e2e.editor import Editor

DRAGGING = re.compile(r"\bdragging\b")


def _dragged(editor: Editor, words: str, onto_link: str) -> None:
    """Drag a node from the library to the middle of a link."""
    library = editor.page.get_by_label("Library of nodes")
    if library.count() == 0:
        editor.page.keyboard.press("n")
        editor.wait_until_still()  # the canvas has become narrower
        editor.page.keyboard.press("Home")
    library.get_by_label("Search nodes").fill(words)
    editor.wait_until_still()
    x, y = editor.middle_of(onto_link)
    library.get_by_role("listitem").first.get_by_role("button").hover()
    editor.page.mouse.down()
    editor.page.mouse.move(x - 30, y, steps=4)
    editor.page.mouse.move(x, y, steps=4)
    editor.page.mouse.up()


def _link(editor: Editor, source: str, target: str) -> Locator:
    return editor.page.get_by_label(f"Link from {source} to {target}", exact=True)


def _added_beside(editor: Editor, words: str) -> str:
    """A node that nothing is linked to, below the others."""
    box = editor.canvas.bounding_box()
    assert box is not None
    editor.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 150)
    return editor.add(words)


def _drag_onto(editor: Editor, node: str, link: str) -> None:
    """Drag a node by its title to the middle of a link, and hold it there."""
    editor.wait_until_still()
    x, y = editor.middle_of(link)
    head = editor.node(node).locator("header")
    head.hover(position={"x": 12, "y": 8})
    box = head.bounding_box()
    assert box is not None
    editor.page.mouse.down()
    editor.page.mouse.move(box["x"] + 12, box["y"] + 4)
    expect(editor.node(node), "a drag starts where the pointer is once it has moved a little").to_have_class(DRAGGING)
    editor.page.mouse.move(x + 40, y + 60, steps=4)
    editor.page.mouse.move(x, y, steps=4)


def test_a_node_dropped_on_a_link_goes_into_it_as_one_step(editor: Editor) -> None:
    editor.load("txt2img")
    links = editor.links.count()
    _dragged(editor, "flip latents", "image.latents")
    expect(editor.links).to_have_count(links + 1)
    added = next(node for node in editor.ids() if re.match("flip", node))
    expect(_link(editor, "sample latents", f"{added} latents")).to_have_count(1)
    expect(_link(editor, f"{added} latents", "image latents")).to_have_count(1)
    editor.undo()
    expect(editor.links).to_have_count(links)
    expect(_link(editor, "sample latents", "image latents")).to_have_count(1)


def test_a_node_that_does_not_fit_a_link_leaves_it_as_it_is(editor: Editor) -> None:
    editor.load("txt2img")
    links = editor.links.count()
    nodes = editor.nodes.count()
    _dragged(editor, "load checkpoint", "image.latents")
    expect(editor.nodes).to_have_count(nodes + 1)
    expect(editor.links).to_have_count(links)


def test_a_loose_node_dragged_onto_a_link_goes_into_it_as_one_step(editor: Editor) -> None:
    editor.load("txt2img")
    links = editor.links.count()
    node = _added_beside(editor, "flip latents")
    before = editor.node(node).evaluate("(one) => one.style.transform")
    target = editor.page.locator(".react-flow__edge:has([data-target=true])")
    expect(target).to_have_count(0)
    _drag_onto(editor, node, "image.latents")
    expect(target).to_have_attribute("data-id", "image.latents")
    editor.page.mouse.up()
    expect(target).to_have_count(0)
    expect(editor.links).to_have_count(links + 1)
    expect(_link(editor, "sample latents", f"{node} latents")).to_have_count(1)
    expect(_link(editor, f"{node} latents", "image latents")).to_have_count(1)
    assert editor.node(node).evaluate("(one) => one.style.transform") != before
    editor.undo()
    expect(editor.links).to_have_count(links)
    assert editor.node(node).evaluate("(one) => one.style.transform") == before


def test_a_loose_node_dragged_onto_a_link_that_it_does_not_fit_only_moves(editor: Editor) -> None:
    editor.load("txt2img")
    links = editor.links.count()
    node = _added_beside(editor, "load checkpoint")
    _drag_onto(editor, node, "image.latents")
    expect(editor.page.locator(".react-flow__edge [data-target=true]")).to_have_count(0)
    editor.page.mouse.up()
    expect(editor.node(node)).not_to_have_class(DRAGGING)
    expect(editor.links).to_have_count(links)


def test_a_linked_node_dragged_over_a_link_keeps_its_links(editor: Editor) -> None:
    editor.load("txt2img")
    links = editor.links.count()
    _drag_onto(editor, "negative", "image.latents")
    expect(editor.page.locator(".react-flow__edge [data-target=true]")).to_have_count(0)
    editor.page.mouse.up()
    expect(editor.links).to_have_count(links)
