"""How smoothly the editor moves at 100 and at 500 nodes, in a real Chromium: `python -m benchmarks.editor_frames`.

    python -m benchmarks.editor_frames [--sizes 100 500] [--moves 60] [--json]

`make web` comes first. Copies of txt2img stand in a grid, and every gesture is made near (cards at their own size) and
far (the whole graph in view). For each gesture:

* *frame*: time between two frames that the page drew, in ms (requestAnimationFrame): median and 95th percentile;
* *long*: tasks of more than 50 ms, which a person feels;
* *work*: milliseconds of the page's main thread for each move of the pointer (script, style, layout, paint);
* *drawn*: components inside nodes that React drew again for each move, and how many nodes and links came into view.

*Work* and *drawn* hardly depend on the machine's graphics; frames do, and a machine without a GPU rasterises them on
the processor.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Page

from tools.browser import browsing
from tools.copies import copies_of
from tools.drawn import count_drawn, drawn, start_counting
from tools.dropping import drop_file
from tools.serving import serving

MOVES = 60
SETTLE_MS = 1500
"""After a change of the view: cards are measured and drawn."""
_WATCH = """() => {
  const seen = window.seen = { frames: [], long: [], on: true };
  let last = null;
  const frame = (now) => {
    if (!seen.on) return;
    if (last !== null) seen.frames.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  const tasks = new PerformanceObserver((list) => seen.long.push(...list.getEntries().map((one) => one.duration)));
  tasks.observe({ type: "longtask" });
  seen.stop = () => { seen.on = false; tasks.disconnect(); };
}"""
_SEEN = "() => { window.seen.stop(); return { frames: window.seen.frames, long: window.seen.long }; }"
_EMPTY = """() => {
  const { left, top, width, height } = document.querySelector(".react-flow").getBoundingClientRect();
  const bare = (x, y) => document.elementFromPoint(x, y)?.classList.contains("react-flow__pane");
  for (let y = top + height / 2; y < top + height; y += 4)
    for (let x = left + width / 3; x < left + width; x += 4) if (bare(x, y)) return [x, y];
}"""
_ZOOM = """() => new DOMMatrix(getComputedStyle(document.querySelector(".react-flow__viewport")).transform).a"""
_SAMPLER = """() => {
  const { left, top, right, bottom } = document.querySelector(".react-flow").getBoundingClientRect();
  for (const head of document.querySelectorAll('.react-flow__node[data-id^="sample"] h3')) {
    const box = head.getBoundingClientRect();
    const at = [box.x + Math.min(12, box.width / 2), box.y + box.height / 2];
    const inside = at[0] > left + 100 && at[0] < right - 250 && at[1] > top + 130 && at[1] < bottom - 200;
    if (inside && document.elementFromPoint(...at)?.closest(".react-flow__node")) return at;
  }
}"""


@dataclass(frozen=True)
class Figures:
    """What one gesture cost; times in milliseconds, by move where the name says so."""

    frame_median_ms: float
    frame_p95_ms: float
    long_tasks: int
    longest_ms: float
    work_ms_per_move: float
    drawn_per_move: float
    shown: int


Point = Sequence[float]


def measure(page: Page, cdp: CDPSession, moves: int, gesture: Gesture) -> Figures:
    """One gesture of so many moves."""
    start = gesture.start(page)
    start_counting(page)
    page.evaluate(_WATCH)
    before = _task_ms(cdp)
    gesture.make(page, start, moves)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    work_ms = _task_ms(cdp) - before
    seen = page.evaluate(_SEEN)
    told = drawn(page)
    frames = seen["frames"]
    return Figures(
        frame_median_ms=statistics.median(frames),
        frame_p95_ms=statistics.quantiles(frames, n=20)[-1],
        long_tasks=len(seen["long"]),
        longest_ms=max(seen["long"], default=0.0),
        work_ms_per_move=work_ms / moves,
        drawn_per_move=sum(told.nodes.values()) / moves,
        shown=told.shown,
    )


def _task_ms(cdp: CDPSession) -> float:
    metrics = cdp.send("Performance.getMetrics")["metrics"]
    return 1000 * next(one["value"] for one in metrics if one["name"] == "TaskDuration")


def drag(page: Page, start: Point, moves: int) -> None:
    """Drag what is there, the canvas or a node, to and fro."""
    x, y = start
    page.mouse.move(x, y)
    page.mouse.down()
    for move in range(moves):
        along = 1 - abs(2 * (move + 1) / moves - 1)
        page.mouse.move(x - 240 * along, y - 120 * along)
    page.mouse.up()


def zoom(page: Page, start: Point, moves: int) -> None:
    """Turn the wheel in and out again."""
    page.mouse.move(*start)
    for move in range(moves):
        page.mouse.wheel(0, -60 if move < moves // 2 else 60)


def edit(page: Page, _: Point, moves: int) -> None:
    """Step the value that has the focus with the arrow keys."""
    for _move in range(moves):
        page.keyboard.press("ArrowUp")


def empty(page: Page) -> Point:
    """A place of the canvas where nothing lies."""
    place: Point = page.evaluate(_EMPTY)
    return place


def sampler(page: Page) -> Point:
    """The title of a sampler in view."""
    place: Point = page.evaluate(_SAMPLER)
    return place


def middle(page: Page) -> Point:
    """The middle of the canvas."""
    box = page.locator(".react-flow").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def chosen(page: Page) -> Point:
    """A sampler that is selected, with the focus in its steps."""
    place = sampler(page)
    page.mouse.click(*place)
    page.locator("#dock-panel").get_by_label("Steps", exact=True).focus()
    return place


@dataclass(frozen=True)
class Gesture:
    """Where it starts, which takes the page a look at all nodes and is not measured, and how it is made."""

    start: Callable[[Page], Point]
    make: Callable[[Page, Point, int], None]


GESTURES: Mapping[str, Gesture] = {
    "pan": Gesture(empty, drag),
    "zoom": Gesture(middle, zoom),
    "drag": Gesture(sampler, drag),
    "edit": Gesture(chosen, edit),
}
DISTANCES = ("near", "far")


def opened(browser: Browser, url: str, nodes: int) -> tuple[Page, CDPSession]:
    """The editor with a workflow of so many nodes, planned."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    count_drawn(context)
    page = context.new_page()
    page.goto(url)
    page.locator("h2:has-text('Start a workflow')").wait_for()
    drop_file(page, "large.json", json.dumps(copies_of("txt2img", nodes)).encode(), "application/json")
    page.get_by_role("button", name="Run, ").wait_for()
    page.get_by_role("tab", name="Node").click()
    cdp = context.new_cdp_session(page)
    cdp.send("Performance.enable", {"timeDomain": "threadTicks"})
    return page, cdp


def at_distance(page: Page, distance: str) -> None:
    """Show the whole graph, or a sampler of it at its own size."""
    page.mouse.click(*empty(page))
    page.keyboard.press("Home")
    page.wait_for_timeout(SETTLE_MS)
    if distance == "near":
        page.mouse.move(*sampler(page))
        while page.evaluate(_ZOOM) < 0.9:
            page.mouse.wheel(0, -100)
            page.wait_for_timeout(50)
        page.wait_for_timeout(SETTLE_MS)


def measured(browser: Browser, url: str, nodes: int, moves: int) -> dict[str, Figures]:
    """The figures of every gesture at both distances: "pan near", ..."""
    page, cdp = opened(browser, url, nodes)
    figures: dict[str, Figures] = {}
    for distance in reversed(DISTANCES):
        for name, gesture in GESTURES.items():
            at_distance(page, distance)
            figures[f"{name} {distance}"] = measure(page, cdp, moves, gesture)
    page.context.close()
    return figures


_HEAD = "gesture    nodes  frame    p95 long longest   work  drawn shown"


def table(found: Mapping[int, Mapping[str, Figures]]) -> str:
    """One line for each gesture and size, and how the work grows from the first size to the last."""
    sizes = list(found)
    lines = [_HEAD]
    for name in found[sizes[0]]:
        for size in sizes:
            one = found[size][name]
            lines.append(
                f"{name:10} {size:5d} {one.frame_median_ms:6.1f} {one.frame_p95_ms:6.1f} {one.long_tasks:4d} "
                f"{one.longest_ms:7.0f} {one.work_ms_per_move:6.1f} {one.drawn_per_move:6.1f} {one.shown:5d}"
            )
        first, last = (found[size][name].work_ms_per_move for size in (sizes[0], sizes[-1]))
        lines.append(f"{'':10} {'grows':>5} {last / first:.2f} x in work per move")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 500], metavar="NODES")
    parser.add_argument("--moves", type=int, default=MOVES, help="moves of the pointer in each gesture")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, serving(Path(home)) as server, browsing() as browser:
        found = {size: measured(browser, server.url, size, given.moves) for size in given.sizes}
    if given.json:
        print(json.dumps({size: {name: asdict(one) for name, one in rows.items()} for size, rows in found.items()}))
    else:
        print(table(found))


if __name__ == "__main__":
    main()
