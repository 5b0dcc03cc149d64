"""Files dropped on a page of the editor, as from a folder of the desktop, and pictures pasted into it."""

from __future__ import annotations

import base64

from playwright.sync_api import Page

_DROP = """async ([selectors, name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const target = selectors.map((one) => document.querySelector(one)).find((found) => found !== null);
  for (const kind of ["dragenter", "dragover", "drop"])
    target.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


def drop_file(page: Page, name: str, content: bytes, media_type: str, onto: tuple[str, ...] = (".react-flow",)) -> None:
    """Drop a file on the first of the places that the page has."""
    page.evaluate(_DROP, [list(onto), name, media_type, base64.b64encode(content).decode()])


_PASTE = """(data) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
  const where = document.activeElement ?? document.body;
  where.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
}"""


def paste_picture(page: Page, content: bytes) -> None:
    """Paste a PNG where the focus is."""
    page.evaluate(_PASTE, base64.b64encode(content).decode())
