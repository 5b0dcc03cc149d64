"""What people do with nodes: group, comment, align, mute, copy, collapse into subgraphs and share them."""

from __future__ import annotations

import io
import itertools
import re

from PIL import Image
from playwright.sync_api import BrowserContext, expect

from tests.e2e.editor import RUN_MS, Editor
from tools.dropping import paste_picture
from tools.serving import Server


def _select_two(editor: Editor, first: str, second: str) -> None:
    editor.select(first)
    editor.node(second).locator("header").click(position={"x": 12, "y": 8}, modifiers=["Shift"])
    expect(editor.page.locator('article[data-selected="true"]')).to_have_count(2)


def test_a_group_takes_along_what_lies_in_it(editor: Editor) -> None:
    editor.load("txt2img")
    _select_two(editor, "positive", "negative")
    editor.page.keyboard.press("Control+g")
    frame = editor.page.locator(".react-flow__node-group_")
    expect(frame).to_have_count(1)
    before, apart = editor.node("positive").bounding_box(), editor.node("sd").bounding_box()
    box = frame.bounding_box()
    assert box is not None
    editor.page.keyboard.press("Escape")
    grasp = frame.locator("header").bounding_box()
    assert grasp is not None
    x, y = grasp["x"] + grasp["width"] - 12, grasp["y"] + grasp["height"] / 2
    editor.page.mouse.move(x, y)
    editor.page.mouse.down()
    editor.page.mouse.move(x + 60, y - 60, steps=6)
    editor.page.mouse.up()
    after = editor.node("positive").bounding_box()
    assert before is not None
    assert after is not None
    assert after["x"] > before["x"] + 20
    assert editor.node("sd").bounding_box() == apart


def test_a_comment_is_written_and_undone(editor: Editor) -> None:
    editor.load("txt2img")
    editor.page.keyboard.press("c")
    note = editor.page.locator(".react-flow__node-comment")
    expect(note).to_have_count(1)
    editor.page.keyboard.type("Try other seeds")
    editor.page.keyboard.press("Escape")
    expect(note).to_contain_text("Try other seeds")
    editor.undo()
    editor.undo()
    expect(note).to_have_count(0)


def test_nodes_are_aligned_by_key(editor: Editor) -> None:
    editor.load("txt2img")
    _select_two(editor, "sd", "image")
    editor.page.keyboard.press("Alt+w")
    boxes = [editor.node(node).bounding_box() for node in ("sd", "image")]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert abs(boxes[0]["y"] - boxes[1]["y"]) < 2


def test_nodes_are_distributed_by_key(editor: Editor) -> None:
    editor.load("txt2img")
    editor.page.keyboard.press("Control+a")
    editor.page.keyboard.press("Alt+Shift+h")
    boxes = [box for node in editor.nodes.all() if (box := node.bounding_box()) is not None]
    boxes.sort(key=lambda box: box["x"])
    gaps = [right["x"] - left["x"] - left["width"] for left, right in itertools.pairwise(boxes)]
    assert len(gaps) == 6
    assert max(gaps) - min(gaps) < 4, gaps


def test_the_overview_moves_the_view(editor: Editor) -> None:
    editor.load("txt2img")
    editor.page.keyboard.press("0")
    editor.wait_until_still()
    overview = editor.page.get_by_role("img", name="Overview of the graph")
    box = overview.bounding_box()
    before = editor.node("sample").bounding_box()
    assert box is not None
    assert before is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    editor.page.mouse.move(x, y)
    editor.page.mouse.down()
    editor.page.mouse.move(x + 20, y, steps=5)
    editor.page.mouse.up()
    editor.wait_until_still()
    after = editor.node("sample").bounding_box()
    assert after is not None
    assert after["x"] < before["x"] - 60, "what is looked at moves right, so the nodes move left"
    assert abs(after["y"] - before["y"]) < 8


def test_a_muted_node_stops_what_needs_it_and_a_bypassed_one_hands_on(editor: Editor) -> None:
    editor.load("img2img")
    editor.select("sample")
    editor.page.keyboard.press("m")
    expect(editor.node("sample")).to_contain_text("Muted")
    expect(editor.dock("Problems")).to_contain_text("The output image is not made, because save is muted")
    editor.select("sample")
    editor.page.keyboard.press("m")
    editor.page.keyboard.press("b")
    expect(editor.node("sample")).to_contain_text("Bypassed")
    editor.run()
    editor.wait_for_picture("save", RUN_MS)
    expect(editor.node("image").get_by_alt_text("Preview of image")).to_be_visible()
    expect(editor.node("sample").get_by_alt_text(re.compile("^Preview"))).to_have_count(0)


def test_what_is_cut_can_be_pasted(editor: Editor, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    editor.load("txt2img")
    count = len(editor.ids())
    editor.select("negative")
    editor.page.keyboard.press("Control+x")
    expect(editor.node("negative")).to_have_count(0)
    editor.page.keyboard.press("Control+v")
    expect(editor.nodes).to_have_count(count)


def test_a_copy_goes_to_another_window(editor: Editor, context: BrowserContext, server: Server) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    editor.load("txt2img")
    _select_two(editor, "sd", "positive")
    editor.page.keyboard.press("Control+c")
    other = Editor.opened(context.new_page(), server.url)
    other.page.keyboard.press("Control+a")
    other.page.keyboard.press("Delete")
    expect(other.nodes).to_have_count(0)
    other.page.keyboard.press("Control+v")
    expect(other.nodes).to_have_count(2)
    expect(other.links).to_have_count(1)


def test_a_pasted_picture_becomes_a_node_that_loads_it(editor: Editor) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), "#a35").save(stream, "PNG")
    paste_picture(editor.page, stream.getvalue())
    expect(editor.nodes).to_have_count(1)
    expect(editor.dock("Node").get_by_label("File", exact=True)).to_have_value(re.compile("^upload:"))


def test_a_subgraph_is_made_opened_and_shared_by_two_nodes(editor: Editor) -> None:
    editor.load("txt2img")
    _select_two(editor, "positive", "sd")
    editor.page.keyboard.press("Control+Shift+g")
    name = editor.page.get_by_role("dialog").get_by_role("textbox")
    if name.count() > 0:
        name.fill("words")
        editor.page.keyboard.press("Enter")
    expect(editor.nodes).to_have_count(6)
    (made,) = editor.ids() - {"negative", "start", "sample", "image", "save"}
    editor.select(made)
    editor.page.keyboard.press("Control+d")
    expect(editor.nodes).to_have_count(7)
    (twin,) = editor.ids() - {"negative", "start", "sample", "image", "save", made}

    editor.node(made).locator("header").dblclick(position={"x": 12, "y": 8})
    expect(editor.node("positive")).to_be_visible()
    editor.select("positive")
    editor.fill(editor.dock("Node").get_by_label("Prompt", exact=True), "shared words")
    editor.page.keyboard.press("Escape")
    editor.page.evaluate("document.activeElement?.blur()")
    editor.page.keyboard.press("Control+ArrowUp")
    expect(editor.node(twin)).to_be_visible()
    editor.node(twin).locator("header").dblclick(position={"x": 12, "y": 8})
    editor.select("positive")
    expect(editor.dock("Node").get_by_label("Prompt", exact=True)).to_have_value(re.compile("shared words"))


def test_two_windows_on_one_workflow_lose_nothing_silently(context: BrowserContext, server: Server) -> None:
    first = Editor.opened(context.new_page(), server.url)
    first.load("txt2img")
    first.page.keyboard.press("Control+Shift+s")
    first.page.get_by_role("dialog", name="Save as").get_by_role("textbox").fill("two windows")
    first.page.keyboard.press("Enter")
    expect(first.page.get_by_text("Saved")).to_be_visible()
    second = Editor.opened(context.new_page(), server.url)
    expect(second.nodes).to_have_count(7)
    second.page.route("**/api/workflows/**", lambda route: route.abort())  # it hears of nothing, and keeps nothing
    for editor, seed in ((second, "502"), (first, "501")):
        editor.page.bring_to_front()
        editor.fill(editor.dock("Inputs").get_by_label("Seed", exact=True), seed)
    first.page.keyboard.press("Control+s")
    expect(first.page.get_by_text("Saved", exact=True)).to_be_visible()
    second.page.unroute_all()
    second.page.keyboard.press("Control+s")
    expect(second.page.get_by_text("Changed in another window")).to_be_visible()
    expect(second.dock("Inputs").get_by_label("Seed", exact=True)).to_have_value("502")
    second.page.get_by_role("button", name="Take theirs").click()
    expect(second.dock("Inputs").get_by_label("Seed", exact=True)).to_have_value("501")


def test_the_cheat_sheet_lists_every_key(editor: Editor) -> None:
    editor.page.keyboard.press("?")
    sheet = editor.page.get_by_role("dialog")
    for words in ("Collapse into a subgraph", "Mute or unmute", "Align left", "Lay out", "Undo"):
        expect(sheet.get_by_text(words, exact=True)).to_be_visible()
