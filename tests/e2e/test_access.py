"""The editor can be read: contrast in both themes, at 200 % zoom, and by a screen reader."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import WAIT_MS
from tests.e2e.editor import Editor
from tools.serving import Server

_FAINT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => top.slice(0, 3).map((part, at) => part * top[3] + below[at] * (1 - top[3]));
  const ground = (element) => {
    const layers = [];
    for (let one = element; one !== null; one = one.parentElement) layers.push(getComputedStyle(one).backgroundColor);
    return layers.reverse().map(rgba).reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const light = (color) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = color.map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== "");
    if (!own || !element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    if (element.closest("[disabled], [aria-disabled=true], [data-stale=true], svg, .react-flow__minimap")) continue;
    const style = getComputedStyle(element);
    let shown = 1;
    for (let one = element; one !== null; one = one.parentElement) shown *= Number(getComputedStyle(one).opacity);
    const below = ground(element);
    const ink = rgba(style.color);
    const ratio = contrast(over([...ink.slice(0, 3), ink[3] * shown], below), below);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const text = element.textContent.slice(0, 30);
    if (ink[3] > 0 && ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)} ${element.className} "${text}"`);
  }
  return [...new Set(found)];
}"""
"""Texts with less contrast to what lies below them than WCAG 2.2 AA asks for (1.4.3)."""


_CUT_OFF = """() => {
  const controls = "button, input, select, textarea, a, [role=slider], [role=tab], [role=option]";
  const hides = (one) => getComputedStyle(one).overflowX !== "visible";
  const found = [];
  for (const one of document.querySelectorAll(controls)) {
    if (!one.checkVisibility() || one.closest(".react-flow, .visually-hidden, [data-over] input[type=file]")) continue;
    const box = one.getBoundingClientRect();
    if (box.width <= 1) continue;
    const edges = [[0, innerWidth]];
    for (let up = one.parentElement; up !== null; up = up.parentElement)
      if (hides(up)) edges.push([up.getBoundingClientRect().left, up.getBoundingClientRect().right]);
    const within = edges.every(([left, right]) => box.left >= left - 1 && box.right <= right + 1);
    const shortened = getComputedStyle(one).textOverflow === "ellipsis" && one.title !== "";
    const said = one.matches("button, a") && !shortened && one.scrollWidth > one.clientWidth + 1;
    if (!within || said) found.push(`${one.getAttribute("aria-label") ?? one.textContent} ${one.className}`);
  }
  return found;
}"""
"""Controls that are cut off at their sides by the window or by a box that they lie in, or whose words are."""


@pytest.fixture
def opened(browser: Browser, server: Server) -> Callable[..., Editor]:
    """Opens an editor as a given browser shows it."""

    def open_(theme: str, width_px: int = 1440, height_px: int = 900, scale: float = 1) -> Editor:
        context = browser.new_context(
            viewport={"width": width_px, "height": height_px},
            device_scale_factor=scale,
            color_scheme="dark" if theme == "dark" else "light",
            reduced_motion="reduce",
        )
        context.set_default_timeout(WAIT_MS)
        return Editor.opened(context.new_page(), server.url)

    return open_


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(opened: Callable[..., Editor], theme: str) -> None:
    editor = opened(theme)
    editor.load("txt2img")
    editor.select("sample")
    for tab in ("Node", "Inputs", "Queue", "History", "Problems"):
        editor.dock(tab)
        assert editor.page.evaluate(_FAINT) == [], tab
    editor.page.keyboard.press("Control+o")
    expect(editor.page.get_by_role("dialog")).to_be_visible()
    assert editor.page.evaluate(_FAINT) == []
    editor.page.context.close()


def test_at_200_percent_nothing_is_cut_off_and_everything_can_be_reached(opened: Callable[..., Editor]) -> None:
    editor = opened("light", width_px=720, height_px=450, scale=2)
    editor.load("txt2img")
    for button in (editor.run_button(), editor.page.get_by_role("tab", name="Problems")):
        expect(button).to_be_in_viewport(ratio=1)
    wide: int = editor.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 720
    editor.page.keyboard.press("Control+o")
    expect(editor.page.get_by_role("dialog").get_by_role("searchbox")).to_be_in_viewport()
    editor.page.context.close()


@pytest.mark.parametrize(("width_px", "height_px", "scale"), [(640, 400, 2), (1024, 700, 1)])
def test_no_control_is_cut_off_at_200_percent_or_in_a_narrow_window(
    opened: Callable[..., Editor], width_px: int, height_px: int, scale: float
) -> None:
    editor = opened("light", width_px=width_px, height_px=height_px, scale=scale)
    editor.load("img2img")
    editor.node("picture").locator("header").click()
    cut_off: dict[str, list[str]] = {}
    for tab in ("Node", "Inputs", "Queue", "History", "Problems"):
        editor.dock(tab)
        cut_off[tab] = editor.page.evaluate(_CUT_OFF)
    editor.load("staged_dynamic_cfg")
    editor.node("sample").locator("header").click()
    editor.dock("Node")
    cut_off["stages"] = editor.page.evaluate(_CUT_OFF)
    editor.page.evaluate("document.activeElement?.blur()")
    for keys in ("Control+o", "Control+e", "?", "Control+Shift+s"):
        editor.page.keyboard.press(keys)
        expect(editor.page.get_by_role("dialog").first).to_be_visible()
        cut_off[keys] = editor.page.evaluate(_CUT_OFF)
        editor.page.keyboard.press("Escape")
    assert {view: found for view, found in cut_off.items() if found} == {}
    wide: int = editor.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width_px
    editor.page.context.close()


def test_a_screen_reader_finds_nodes_ports_links_and_parts_of_the_window(opened: Callable[..., Editor]) -> None:
    editor = opened("light")
    editor.load("txt2img")
    page = editor.page
    for landmark in ("banner", "main"):
        expect(page.get_by_role(landmark)).to_have_count(1)
    expect(page.get_by_role("group", name="Sampler, sample")).to_be_visible()
    expect(page.get_by_label("Link from sd vae to image vae")).to_have_count(1)
    expect(editor.port("sd.vae", "output").and_(page.get_by_label("connected"))).to_have_count(1)
    expect(page.get_by_role("tablist")).to_have_count(1)
    expect(page.get_by_role("button", name="Run, ")).to_be_visible()
    editor.page.context.close()


def test_the_theme_is_chosen_and_kept(opened: Callable[..., Editor]) -> None:
    editor = opened("light")
    body = editor.page.locator("body")
    bright = body.evaluate("(one) => getComputedStyle(one).backgroundColor")
    theme = editor.page.get_by_role("button", name="Theme: ")
    for _ in range(3):
        theme.click()
        if body.evaluate("(one) => getComputedStyle(one).backgroundColor") != bright:
            break
    dark = body.evaluate("(one) => getComputedStyle(one).backgroundColor")
    assert dark != bright
    editor.page.reload()
    editor.wait()
    assert body.evaluate("(one) => getComputedStyle(one).backgroundColor") == dark
    editor.page.context.close()
