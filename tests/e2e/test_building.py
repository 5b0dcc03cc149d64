"""A workflow is built from nothing by mouse and keyboard, and runs."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.editor import RUN_MS, Editor

LINKS = (
    ("sd.text_encoder", "positive.text_encoder"),
    ("sd.text_encoder", "negative.text_encoder"),
    ("sd.denoiser", "sample.denoiser"),
    ("positive.conditioning", "sample.positive"),
    ("negative.conditioning", "sample.negative"),
    ("start.latents", "sample.latents"),
    ("sample.latents", "image.latents"),
    ("sd.vae", "image.vae"),
    ("image.image", "shown.image"),
)
NODES = {
    "sd": "load checkpoint",
    "positive": "encode text",
    "negative": "encode text",
    "start": "empty latents",
    "sample": "sd.sampler",
    "image": "vae decode",
    "shown": "image preview",
}


def test_txt2img_is_built_from_an_empty_canvas_and_run(editor: Editor) -> None:
    ids = {name: editor.add(words) for name, words in NODES.items()}
    editor.lay_out()
    for source, target in LINKS:
        named = [f"{ids[node]}.{port}" for node, port in (ref.split(".") for ref in (source, target))]
        editor.connect(*named)
    expect(editor.links).to_have_count(len(LINKS))

    editor.select(ids["positive"])
    editor.dock("Node").get_by_label("Prompt", exact=True).fill("a large red star on a light blue background")
    editor.select(ids["start"])
    for side in ("Width", "Height"):
        editor.fill(editor.dock("Node").get_by_label(side, exact=True), "64")
    editor.select(ids["sample"])
    editor.fill(editor.dock("Node").get_by_label("Steps", exact=True), "4")

    editor.run()
    expect(editor.node(ids["shown"]).get_by_alt_text("Result")).to_be_visible(timeout=RUN_MS)
    assert editor.errors == []


def test_a_link_is_drawn_by_keyboard(editor: Editor) -> None:
    source, target = editor.add("load checkpoint"), editor.add("vae decode")
    editor.select(target)
    editor.page.keyboard.press("l")
    editor.page.keyboard.type("vae")
    editor.page.keyboard.press("Enter")
    expect(editor.links).to_have_count(1)
    expect(editor.port(f"{source}.vae", "output")).to_have_attribute("data-connected", "true")


def test_ports_of_other_types_refuse_a_link_and_say_why(editor: Editor) -> None:
    source, target = editor.add("load checkpoint"), editor.add("vae decode")
    editor.lay_out()
    editor.connect(f"{source}.denoiser", f"{target}.latents")
    expect(editor.page.get_by_text("expects Latents")).to_be_visible()
    expect(editor.links).to_have_count(0)


def test_everything_is_undone_and_redone(editor: Editor) -> None:
    source, target = editor.add("load checkpoint"), editor.add("vae decode")
    editor.lay_out()
    editor.connect(f"{source}.vae", f"{target}.vae")
    expect(editor.links).to_have_count(1)
    editor.undo()
    expect(editor.links).to_have_count(0)
    for _ in range(10):
        editor.undo()
    expect(editor.nodes).to_have_count(0)
    for _ in range(10):
        editor.page.keyboard.press("Control+Shift+z")
    expect(editor.links).to_have_count(1)
    expect(editor.nodes).to_have_count(2)


def test_a_link_dropped_on_the_canvas_offers_the_nodes_that_take_it(editor: Editor) -> None:
    source = editor.add("load checkpoint")
    editor.port(f"{source}.vae", "output").hover()
    editor.page.mouse.down()
    editor.page.mouse.move(720, 760, steps=8)
    editor.page.mouse.up()
    picker = editor.page.get_by_role("dialog", name="Add a node")
    offered = picker.get_by_role("option").all_inner_texts()
    assert any("decode" in text.lower() for text in offered)
    assert not any("checkpoint" in text.lower() for text in offered)
    picker.get_by_role("combobox").fill("decode")
    editor.page.keyboard.press("Enter")
    expect(editor.links).to_have_count(1)
