"""Every kind of value has a widget that works by mouse and by keyboard."""

from __future__ import annotations

import io
import re

from PIL import Image
from playwright.sync_api import Locator, expect

from tests.e2e.editor import Editor
from tools.dropping import paste_picture
from tools.serving import Server


def _png(edge_px: int = 96) -> bytes:
    """A picture that no other test uploads."""
    stream = io.BytesIO()
    Image.new("RGB", (edge_px, edge_px), "#3fa7d6").save(stream, "PNG")
    return stream.getvalue()


def _loaded_picture(editor: Editor) -> tuple[str, Locator]:
    """A node that loads a picture which was dropped on it, and its panel."""
    node = editor.add("image load")
    panel = editor.dock("Node")
    editor.drop("sky.png", _png(), "image/png", onto="#dock-panel img, #dock-panel [data-over]")
    expect(panel.get_by_label("File", exact=True)).to_have_value(re.compile(r"^upload:[0-9a-f]{64}\.png$"))
    expect(panel.get_by_role("img", name="Shown: upload:")).to_be_visible()
    return node, panel


def test_a_number_takes_sums_steps_and_stays_in_its_range(editor: Editor) -> None:
    editor.add("empty latents")
    width = editor.dock("Node").get_by_label("Width", exact=True)
    editor.fill(width, "512+64")
    expect(width).to_have_value("576")
    width.press("ArrowUp")
    expect(width).to_have_value("584")
    width.press("Shift+ArrowDown")
    expect(width).to_have_value("504")
    editor.fill(width, "1")
    expect(width).to_have_value("16")
    editor.dock("Node").get_by_role("button", name="Reset Width").click()
    expect(width).to_have_value("512")


def test_a_prompt_counts_its_tokens_and_is_weighted_by_keys(editor: Editor) -> None:
    editor.add("encode text")
    prompt = editor.dock("Node").get_by_label("Prompt", exact=True)
    prompt.fill("a red star")
    expect(editor.dock("Node").get_by_text(re.compile(r"\d+ tokens"))).to_be_visible()
    prompt.evaluate("(area) => area.setSelectionRange(3, 3)")
    prompt.press("Control+ArrowUp")
    expect(prompt).to_have_value("a (red:1.1) star")
    expect(editor.dock("Node").locator("mark")).to_have_text("(red:1.1)")


def test_long_lists_are_searched(editor: Editor) -> None:
    editor.add("sd.sampler")
    solver = editor.dock("Node").get_by_role("combobox", name="Solver")
    solver.click()
    solver.fill("2m sde")
    solver.press("Enter")
    expect(solver).to_have_value("dpmpp_2m_sde")


def test_a_seed_is_drawn_by_dice(editor: Editor) -> None:
    editor.add("sd.sampler")
    panel = editor.dock("Node")
    panel.get_by_role("button", name="Draw a new seed", exact=True).click()
    expect(panel.get_by_label("Seed", exact=True)).not_to_have_value("0")


def test_a_stage_is_split_and_its_guidance_bent(editor: Editor) -> None:
    editor.load("staged_dynamic_cfg")
    editor.select("sample")
    panel = editor.dock("Node")
    panel.get_by_role("button", name="Split stage 1 in two").click()
    expect(panel.get_by_role("button", name=re.compile("^Stage "))).to_have_count(4)
    start = panel.get_by_role("slider", name="Scale at 0 %")
    start.focus()
    for _ in range(5):
        start.press("ArrowUp")
    expect(panel.get_by_label("From", exact=True)).to_have_value("4.5")
    editor.undo()
    expect(panel.get_by_label("From", exact=True)).to_have_value("4")


def test_a_picture_is_dropped_on_its_field_and_a_mask_painted_over_it(editor: Editor, server: Server) -> None:
    node, panel = _loaded_picture(editor)
    panel.get_by_role("button", name="Mask").click()
    dialog = editor.page.get_by_role("dialog", name="Paint a mask")
    canvas = dialog.locator("canvas")
    box = canvas.bounding_box()
    assert box is not None
    editor.page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    editor.page.mouse.down()
    editor.page.mouse.move(box["x"] + box["width"] * 3 / 4, box["y"] + box["height"] / 2, steps=6)
    editor.page.mouse.up()
    dialog.get_by_role("button", name="Use mask").click()
    expect(dialog).to_have_count(0)
    expect(editor.nodes).to_have_count(3)
    expect(editor.page.get_by_role("heading", name=f"Mask over {node}")).to_be_visible()
    (upload,) = (path for path in (server.home / "uploads").rglob("*.png") if _is_mask(path.read_bytes()))
    painted = Image.open(upload).convert("L")
    assert (painted.getpixel((48, 48)), painted.getpixel((48, 4))) == (255, 0)


def _is_mask(content: bytes) -> bool:
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    return picture.getpixel((0, 0)) == (0, 0, 0)


def test_every_control_has_a_name(editor: Editor) -> None:
    editor.load("inpaint")
    editor.select("sample")
    for tab in ("Node", "Inputs", "Queue", "History", "Problems"):
        editor.dock(tab)
        unnamed: list[str] = editor.page.evaluate(
            """() => [...document.querySelectorAll("button, input, select, textarea, [role=slider], [role=tab]")]
              .filter((one) => one.checkVisibility() && !one.labels?.length && !one.textContent.trim()
                && !one.getAttribute("aria-label") && !one.getAttribute("aria-labelledby") && !one.title)
              .map((one) => one.outerHTML.slice(0, 200))"""
        )
        assert unnamed == []


def test_a_loader_offers_the_models_that_are_here_and_takes_any_other(editor: Editor) -> None:
    editor.add("model.lora")
    source = editor.dock("Node").get_by_role("combobox", name="Source")
    options = editor.dock("Node").get_by_role("option")
    source.click()
    expect(options.filter(has_text="builtin:shapes/lora_neon")).to_contain_text(re.compile("LoRA.*iB"))
    expect(options.filter(has_text="controlnet")).to_have_count(0)
    source.fill("bltneon")
    source.press("Enter")
    expect(source).to_have_value("builtin:shapes/lora_neon")
    source.click()
    source.fill("my/style.safetensors")
    source.press("Enter")
    expect(source).to_have_value("my/style.safetensors")


def test_a_picture_that_the_server_has_is_chosen_by_keyboard_or_mouse(editor: Editor) -> None:
    _, panel = _loaded_picture(editor)
    field = panel.get_by_label("File", exact=True)
    uploaded = field.input_value()
    panel.get_by_role("button", name="Take the picture out").click()
    expect(field).to_have_value("")
    choose = panel.get_by_role("button", name="Choose a picture that is on the server")
    dialog = editor.page.get_by_role("dialog", name="Pictures on the server")

    choose.press("Enter")
    uploads = dialog.get_by_role("list", name="Uploaded").get_by_role("button")
    examples = dialog.get_by_role("list", name="Examples").get_by_role("button")
    expect(examples.first.locator("img")).to_be_visible()
    uploads.first.focus()
    editor.page.keyboard.press("Tab")
    expect(examples.first).to_be_focused()
    editor.page.keyboard.press("End")
    expect(examples.last).to_be_focused()
    editor.page.keyboard.press("Home")
    editor.page.keyboard.press("ArrowRight")
    expect(examples.nth(1)).to_be_focused()
    editor.page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(field).to_have_value(re.compile(r"^builtin:\w+\.png$"))
    expect(panel.get_by_role("img", name="Shown: builtin:")).to_be_visible()

    choose.click()
    expect(examples.nth(1)).to_have_attribute("aria-current", "true")
    uploads.and_(dialog.get_by_title(uploaded)).click()
    expect(field).to_have_value(uploaded)
    expect(panel.get_by_role("img", name="Shown: upload:")).to_be_visible()


def test_a_picture_is_pasted_into_its_field(editor: Editor) -> None:
    editor.add("image load")
    field = editor.dock("Node").get_by_label("File", exact=True)
    field.focus()
    paste_picture(editor.page, _png(80))
    expect(field).to_have_value(re.compile(r"^upload:[0-9a-f]{64}\.png$"))
    expect(editor.nodes).to_have_count(1)
