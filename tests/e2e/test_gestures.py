"""Gestures of the canvas: the palette at the cursor, an area that selects, points in links, colours of types."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.editor import Editor

_COLOR = """(port) => getComputedStyle(port).getPropertyValue("--type").trim()"""


def test_a_double_click_opens_the_palette_there_and_the_node_lands_there(editor: Editor) -> None:
    editor.page.mouse.dblclick(420, 300)
    palette = editor.page.get_by_role("dialog", name="Add a node")
    box = palette.bounding_box()
    assert box is not None
    assert abs(box["x"] - 420) < 60
    editor.page.keyboard.type("vadc")  # letters in the order of the title are enough
    expect(palette.get_by_role("option").first).to_contain_text("VAE decode")
    editor.page.keyboard.press("Enter")
    node = editor.nodes.first.bounding_box()
    assert node is not None
    assert node["x"] - 8 <= 420 <= node["x"] + node["width"]
    assert node["y"] - 8 <= 300 <= node["y"] + node["height"]


def test_nodes_added_in_a_row_do_not_hide_each_other(editor: Editor) -> None:
    added = [editor.add("vae decode") for _ in range(3)]
    boxes = [box for node in added if (box := editor.node(node).locator("h3").bounding_box()) is not None]
    assert len(boxes) == 3
    assert len({round(box["y"]) for box in boxes}) == 3
    for number, box in enumerate(boxes[:-1]):
        assert box["y"] + box["height"] <= boxes[number + 1]["y"] + 4, "every title can be read"


def test_an_area_drawn_with_shift_selects_what_lies_in_it(editor: Editor) -> None:
    editor.load("txt2img")
    editor.wait_until_still()
    boxes = [box for node in ("positive", "negative", "start") if (box := editor.node(node).bounding_box()) is not None]
    left, top = min(box["x"] for box in boxes) - 12, min(box["y"] for box in boxes) - 12
    right = max(box["x"] + box["width"] for box in boxes) + 12
    bottom = max(box["y"] + box["height"] for box in boxes) + 12
    editor.page.keyboard.down("Shift")
    editor.page.mouse.move(left, top)
    editor.page.mouse.down()
    editor.page.mouse.move(right, bottom, steps=6)
    editor.page.mouse.up()
    editor.page.keyboard.up("Shift")
    expect(editor.page.locator('article[data-selected="true"]')).to_have_count(3)
    expect(editor.dock("Node").get_by_text("3 nodes selected")).to_be_visible()


def test_a_link_is_led_through_a_point_by_a_double_click_and_undone(editor: Editor) -> None:
    editor.load("txt2img")
    editor.wait_until_still()
    links = editor.links.count()
    editor.page.mouse.dblclick(*editor.middle_of("image.latents"))
    expect(editor.page.locator(".react-flow__node-reroute")).to_have_count(1)
    expect(editor.links).to_have_count(links + 1)
    editor.undo()
    expect(editor.page.locator(".react-flow__node-reroute")).to_have_count(0)
    expect(editor.links).to_have_count(links)


def test_ports_of_one_type_have_its_colour(editor: Editor) -> None:
    editor.load("txt2img")
    ports = {
        ref: str(editor.port(ref, side).evaluate(_COLOR))
        for ref, side in (("sd.vae", "output"), ("image.vae", "input"), ("sd.denoiser", "output"))
    }
    assert all(ports.values())
    assert ports["sd.vae"] == ports["image.vae"]
    assert ports["sd.vae"] != ports["sd.denoiser"]


def test_a_slider_is_moved_by_mouse_and_by_keys(editor: Editor) -> None:
    editor.add("sd.sampler")
    panel = editor.dock("Node")
    field = panel.get_by_label("Strength", exact=True)
    slider = panel.get_by_role("slider", name="Strength slider", exact=True)
    box = slider.bounding_box()
    assert box is not None
    editor.page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2)
    expect(field).to_have_value(re.compile(r"^0\.(4|5)"))
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", field.input_value())
    editor.undo()
    expect(field).to_have_value("1")
