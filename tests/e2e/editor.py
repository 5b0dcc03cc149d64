"""The editor as people use it: by what they see and can point at, never through its code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, Position, expect

from tools.dropping import drop_file

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / "workflows"
RUN_MS = 240_000
"""A run of the built-in model in a worker that still has to import torch, on a machine that is busy."""

_STILL = """() => {
  const found = document.querySelector(".react-flow__viewport").style.transform;
  if (window.lastView?.found !== found) window.lastView = { found, since: performance.now() };
  return performance.now() - window.lastView.since > 500;
}"""
"""The view has stayed where it is for twice as long as it takes to move."""
_BARE = """() => {
  const { left, top, width, height } = document.querySelector(".react-flow").getBoundingClientRect();
  const bare = (x, y) => document.elementFromPoint(left + x, top + y)?.classList.contains("react-flow__pane");
  for (let y = 80; y < height - 160; y += 6)
    for (let x = 80; x < width - 160; x += 6) if (bare(x, y) && bare(x + 4, y + 4)) return { x, y };
}"""
"""A place of the canvas where nothing lies."""
_ZOOM = """() => new DOMMatrix(getComputedStyle(document.querySelector(".react-flow__viewport")).transform).a"""
_MIDDLE = """(path) => {
  const { x, y } = path.getPointAtLength(path.getTotalLength() / 2).matrixTransform(path.getScreenCTM());
  return [x, y];
}"""
_APART = """() => {
  const boxes = [...document.querySelectorAll(".react-flow__node")].map((one) => one.getBoundingClientRect());
  return boxes.every((one, at) => boxes.slice(at + 1).every((other) =>
    one.right < other.left || other.right < one.left || one.bottom < other.top || other.bottom < one.top));
}"""
"""No node lies over another one."""


class Editor:
    """A page that shows the editor."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.errors: list[str] = []
        """What went wrong in the page itself."""
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    @classmethod
    def opened(cls, page: Page, url: str) -> Editor:
        """The editor once it has its catalogue."""
        editor = cls(page, url)
        page.goto(url)
        editor.wait()
        return editor

    def wait(self) -> None:
        """Until the canvas is there and the catalogue is loaded."""
        expect(self.canvas).to_be_visible()
        expect(self.page.locator("article, h2:has-text('Start a workflow')").first).to_be_visible()

    @property
    def canvas(self) -> Locator:
        return self.page.locator(".react-flow")

    @property
    def nodes(self) -> Locator:
        return self.page.locator(".react-flow__node:has(article)")

    @property
    def links(self) -> Locator:
        return self.page.locator(".react-flow__edge")

    def node(self, node_id: str) -> Locator:
        return self.page.locator(f'.react-flow__node[data-id="{node_id}"]')

    def ids(self) -> set[str]:
        found: list[str] = self.nodes.evaluate_all("all => all.map((one) => one.dataset.id)")
        return set(found)

    def port(self, ref: str, side: str) -> Locator:
        """The dot of a port, `sample.latents`, on the `input` or `output` side."""
        node_id, name = ref.rsplit(".", 1)
        return self.node(node_id).get_by_label(re.compile(rf"^{side.title()} {name}, "))

    def add(self, words: str) -> str:
        """Add a node by keyboard; its id."""
        before = self.ids()
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(words)
        self.page.keyboard.press("Enter")
        expect(self.nodes).to_have_count(len(before) + 1)
        (added,) = self.ids() - before
        return added

    def connect(self, source: str, target: str) -> None:
        """Draw a link with the mouse."""
        self.port(source, "output").hover()
        self.page.mouse.down()
        self.port(target, "input").hover()
        self.page.mouse.up()

    def lay_out(self) -> None:
        """Lay the nodes out, and wait until they have moved to their places and the view to them."""
        self.page.keyboard.press("Shift+L")
        self.page.wait_for_function(_APART)
        self.wait_until_still()

    def lies_apart(self) -> bool:
        """Whether no node lies over another one."""
        found: bool = self.page.evaluate(_APART)
        return found

    def wait_until_still(self) -> None:
        """Until the view stays where it is."""
        self.page.evaluate("delete window.lastView")  # a movement that was asked for may not have begun
        self.page.wait_for_function(_STILL)

    def view(self) -> str:
        """Where the view is, and how near."""
        found: str = self.page.locator(".react-flow__viewport").evaluate("(one) => one.style.transform")
        return found

    def zoom(self) -> float:
        """1 where a node has its own size."""
        found: float = self.page.evaluate(_ZOOM)
        return found

    def bare_place(self) -> Position:
        """A place of the canvas where nothing lies, from its corner."""
        found: Position = self.page.evaluate(_BARE)
        return found

    def middle_of(self, link: str) -> tuple[float, float]:
        """Where the middle of a link is in the window; links have the name of the port at their end."""
        x, y = self.page.locator(f'.react-flow__edge[data-id="{link}"] .react-flow__edge-path').evaluate(_MIDDLE)
        return x, y

    def is_link_of(self, node_id: str, link: str) -> bool:
        """Whether a link starts or ends at a node."""
        label = self.page.locator(f'.react-flow__edge[data-id="{link}"]').get_attribute("aria-label") or ""
        return node_id in label.split()

    def dock(self, name: str) -> Locator:
        """A panel of the right side, brought to the front."""
        self.page.get_by_role("tab", name=name).click()
        return self.page.locator("#dock-panel")

    def run_button(self) -> Locator:
        return self.page.get_by_role("button", name=re.compile("^Run, "))

    def run(self) -> None:
        """Press Run, wherever the focus is."""
        self.run_button().click()

    def select(self, node_id: str) -> None:
        """Select one node by a press on its title."""
        self.node(node_id).locator("header").click(position={"x": 12, "y": 8})
        expect(self.node(node_id).locator("article")).to_have_attribute("data-selected", "true")

    def fill(self, field: Locator, text: str) -> None:
        """Type a value into a field and leave it."""
        field.fill(text)
        field.press("Enter")

    def undo(self) -> None:
        """Undo as people do who are not in a field."""
        self.page.evaluate("document.activeElement?.blur()")
        self.page.keyboard.press("Control+z")

    def plan_of(self, node_id: str) -> Locator:
        """What the panel says will happen to the selected node: "Will run", "Cached"."""
        return self.dock("Node").get_by_label("Plan").locator("b").first

    def wait_for_tone(self, node_id: str, tone: str, timeout_ms: float) -> None:
        """Until a node is `running`, `done`, ..."""
        expect(self.node(node_id).locator("article")).to_have_attribute("data-tone", tone, timeout=timeout_ms)

    def wait_for_picture(self, node_id: str, timeout_ms: float) -> None:
        """Until a node shows what it made."""
        expect(self.node(node_id).get_by_alt_text("Result").first).to_be_visible(timeout=timeout_ms)

    def load(self, name: str) -> None:
        """Open a shipped workflow from the templates."""
        self.page.keyboard.press("Control+o")
        dialog = self.page.get_by_role("dialog", name="Open a workflow")
        dialog.get_by_role("searchbox").fill(name)
        dialog.locator(f'[data-name="{name}"]').click()
        expect(dialog).to_have_count(0)
        expect(self.nodes).to_have_count(len(document(name)["nodes"]))

    def drop(self, name: str, content: bytes, media_type: str, onto: str = ".react-flow") -> None:
        """Drop a file."""
        drop_file(self.page, name, content, media_type, (onto,))

    def open_document(self, value: dict[str, Any], name: str = "workflow.json") -> None:
        """Open a document by dropping its file on the canvas."""
        self.drop(name, json.dumps(value).encode(), "application/json")
        expect(self.nodes).to_have_count(len(value["nodes"]))


def document(name: str) -> dict[str, Any]:
    """A workflow that ships."""
    found: dict[str, Any] = json.loads((WORKFLOWS / f"{name}.json").read_text())
    return found
