"""Draws the pictures of the editor in docs/, light and dark: `python -m tools.editor_pictures [SCENE...]`.

They are of a real server that draws with the built-in model, in a real browser. `make web` comes first.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image as Pillow
from playwright.sync_api import Browser, Locator, Page

from tools.browser import browsing
from tools.dropping import drop_file
from tools.serving import Server, serving

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "pictures" / "editor"
WIDTH_PX, HEIGHT_PX = 1440, 900
RUN_MS = 300_000
SETTLE_MS = 700
"""Tooltips and pictures appear after a moment."""
PROMPTS = (
    "a large red star on a light blue background",
    "a green circle left of a yellow square",
    "a small purple ring on an orange background",
    "a blue triangle above a pink cross",
)
ONTO = ("#dock-panel [data-over]", ".react-flow")
"""Where files are dropped: on the panel's picture, else on the canvas."""


def main(wanted: list[str]) -> None:
    """Draw the scenes wanted, or all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, serving(Path(home)) as server, browsing() as browser:
        draw(server, browser, wanted or list(SCENES))


def draw(server: Server, browser: Browser, wanted: list[str]) -> None:
    """Draw scenes of a server in both themes."""
    fill_history(server, browser)
    for theme in ("light", "dark"):
        for name in wanted:
            context = browser.new_context(
                viewport={"width": WIDTH_PX, "height": HEIGHT_PX}, color_scheme=theme, reduced_motion="reduce"
            )
            page = context.new_page()
            page.set_default_timeout(60_000)
            page.goto(server.url)
            page.locator("article, h2:has-text('Start a workflow')").first.wait_for()
            SCENES[name](page)
            page.wait_for_timeout(SETTLE_MS)
            save(page.screenshot(), f"{name}_{theme}")
            context.close()


def fill_history(server: Server, browser: Browser) -> None:
    """Runs to look at: prompts that the built-in model knows, two seeds each."""
    if server.get("/api/runs?limit=1")["runs"]:
        return
    page = browser.new_page()
    page.goto(server.url)
    page.locator("h2:has-text('Start a workflow')").wait_for()
    load(page, "txt2img")
    for seed in (1, 2):
        for prompt in PROMPTS:
            inputs = dock(page, "Inputs")
            inputs.get_by_label("Prompt", exact=True).fill(prompt)
            enter(inputs.get_by_label("Seed", exact=True), str(seed))
            run(page)
    page.close()


def save(content: bytes, name: str) -> None:
    """Keep a screenshot. Not with a palette: that is chosen by area, and ports and links are small."""
    Pillow.open(io.BytesIO(content)).convert("RGB").save(FOLDER / f"{name}.png", optimize=True)


def load(page: Page, name: str) -> None:
    """Open a template."""
    page.keyboard.press("Control+o")
    page.locator(f'[data-name="{name}"]').click()
    page.locator("article").first.wait_for()
    page.wait_for_timeout(SETTLE_MS)


def dock(page: Page, name: str) -> Locator:
    """A panel of the right side."""
    page.get_by_role("tab", name=name).click()
    return page.locator("#dock-panel")


def enter(field: Locator, text: str) -> None:
    """Type a value in."""
    field.fill(text)
    field.press("Enter")


def run(page: Page) -> None:
    """Run, and wait for the end."""
    page.wait_for_timeout(SETTLE_MS)
    page.get_by_role("button", name="Run, ").click()
    page.get_by_alt_text("Result").first.wait_for(timeout=RUN_MS)
    page.get_by_role("button", name="nodes cached").wait_for()


def select(page: Page, node: str) -> None:
    page.locator(f'.react-flow__node[data-id="{node}"] header').click(position={"x": 12, "y": 8})


def laid_out(page: Page) -> None:
    page.keyboard.press("Shift+L")
    page.wait_for_timeout(2 * SETTLE_MS)
    page.keyboard.press("Home")
    page.wait_for_timeout(SETTLE_MS)


def canvas(page: Page) -> None:
    """txt2img after a run."""
    load(page, "txt2img")
    laid_out(page)
    run(page)
    page.wait_for_timeout(SETTLE_MS)
    laid_out(page)
    select(page, "sample")


def palette(page: Page) -> None:
    """The palette over a graph."""
    load(page, "txt2img")
    laid_out(page)
    page.mouse.move(640, 250)
    page.keyboard.press("Tab")
    page.keyboard.type("cont")


def plan(page: Page) -> None:
    """A changed seed, and why the sampler will run."""
    load(page, "txt2img")
    laid_out(page)
    run(page)
    select(page, "sample")
    enter(dock(page, "Node").get_by_label("Seed", exact=True), "4711")
    page.wait_for_timeout(2 * SETTLE_MS)
    page.locator('.react-flow__node[data-id="sample"] footer').hover()


def stages(page: Page) -> None:
    """The staged sampler in the panel."""
    load(page, "staged_dynamic_cfg")
    laid_out(page)
    select(page, "sample")
    panel = dock(page, "Node")
    panel.get_by_role("button", name="Stage 1, ").scroll_into_view_if_needed()
    panel.get_by_role("button", name="Split stage 3 in two").scroll_into_view_if_needed()


def mask(page: Page) -> None:
    """A mask that is being painted."""
    page.get_by_role("button", name="Add a node").first.click()
    page.keyboard.type("image load")
    page.keyboard.press("Enter")
    panel = dock(page, "Node")
    picture = Pillow.open(ROOT / "nodes" / "sdgraph_nodes" / "pictures" / "pair.png").convert("RGB")
    stream = io.BytesIO()
    picture.resize((512, 512 * picture.height // picture.width), Pillow.Resampling.LANCZOS).save(stream, "PNG")
    drop_file(page, "pair.png", stream.getvalue(), "image/png", ONTO)
    panel.get_by_role("button", name="Mask").click()
    box = page.get_by_role("dialog", name="Paint a mask").locator("canvas").bounding_box()
    assert box is not None
    for step, place in enumerate(((0.62, 0.35), (0.86, 0.35), (0.86, 0.5), (0.62, 0.5), (0.62, 0.65), (0.86, 0.65))):
        page.mouse.move(box["x"] + place[0] * box["width"], box["y"] + place[1] * box["height"], steps=12)
        if step == 0:
            page.mouse.down()
    page.mouse.up()


def inputs(page: Page) -> None:
    """The workflow as a form, with what it drew."""
    load(page, "txt2img")
    laid_out(page)
    dock(page, "Inputs")
    run(page)


def history(page: Page) -> None:
    """What was drawn."""
    load(page, "txt2img")
    laid_out(page)
    dock(page, "History").get_by_role("listitem").nth(3).wait_for()


def run_details(page: Page) -> None:
    """All about a run."""
    history(page)
    page.locator("#dock-panel").get_by_role("listitem").filter(has_text="blue triangle").get_by_role(
        "button"
    ).first.click()
    page.get_by_role("dialog").get_by_role("img").first.wait_for()


def compare(page: Page) -> None:
    """Two seeds of one prompt over each other."""
    history(page)
    dock(page, "History").get_by_role("searchbox").fill("star")
    page.wait_for_timeout(2 * SETTLE_MS)
    cards = page.locator("#dock-panel").get_by_role("listitem")
    for card in (cards.nth(0), cards.nth(cards.count() - 1)):
        card.hover()
        card.get_by_role("button", name="ompare").click()


def templates(page: Page) -> None:
    """The templates that ship."""
    page.keyboard.press("Control+o")
    page.locator('[data-name="txt2img"]').wait_for()


def problems(page: Page) -> None:
    """A node of an unknown type, and a port that nothing feeds."""
    document: dict[str, Any] = json.loads((ROOT / "workflows" / "txt2img.json").read_text())
    document["nodes"]["upscale"] = {"type": "esrgan.upscale", "version": 2, "links": {"image": "image.image"}}
    document["nodes"]["save"]["links"]["image"] = "upscale.image"
    del document["nodes"]["sample"]["links"]["positive"]
    document["nodes"]["start"]["values"]["width_px"] = 9000
    drop_file(page, "w.json", json.dumps(document).encode(), "application/json", ONTO)
    page.locator("article").first.wait_for()
    laid_out(page)
    dock(page, "Problems").get_by_role("listitem").first.wait_for()


def export(page: Page) -> None:
    """The workflow as a program."""
    load(page, "txt2img")
    page.keyboard.press("Control+e")
    page.get_by_role("tab", name="Python", exact=True).click()


SCENES: Mapping[str, Callable[[Page], None]] = {
    "canvas": canvas,
    "palette": palette,
    "plan": plan,
    "stages": stages,
    "mask": mask,
    "inputs": inputs,
    "history": history,
    "run": run_details,
    "compare": compare,
    "templates": templates,
    "problems": problems,
    "export": export,
}


if __name__ == "__main__":
    main(sys.argv[1:])
