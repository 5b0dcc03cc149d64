"""Nodes dragged from the library go onto the canvas, or into a link."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from tests.e2e.editor import Editor


def _dragged(editor: Editor, words: str, onto_link: str) -> None:
    """Drag a node from the library to the middle of a link."""
    library = editor.page.get_by_label("Library of nodes")
    if library.count() == 0:
        editor.page.keyboard.press("n")
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
