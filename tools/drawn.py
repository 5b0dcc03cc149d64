"""What React draws: how often components inside nodes and links of the canvas are drawn again, in the built editor.

The page is given the hook that React's own developer tools use, which production builds call at every commit. A
component counts when React marks that it did work in that commit; what is skipped keeps an old mark, so only branches
that the commit replaced are followed.
"""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import BrowserContext, Page

QUIET_MS = 600
_HOOK = """() => {
  const WORKED = 1, HOST = 5, COMPONENTS = new Set([0, 1, 11, 14, 15]);
  const start = () => ({ nodes: {}, links: {}, shown: 0 });
  window.drawn = start();
  window.drawnAfresh = () => { window.drawn = start(); };
  const place = (fiber) => {
    const classes = fiber.stateNode.classList;
    if (classes.contains("react-flow__node")) return ["nodes", fiber.stateNode.dataset.id];
    if (classes.contains("react-flow__edge")) return ["links", fiber.stateNode.dataset.id];
    return null;
  };
  const walk = (fiber, at) => {
    const inside = (fiber.tag === HOST && place(fiber)) || at;
    const before = fiber.alternate;
    if (before === null) {
      if (inside !== at && inside !== null) { window.drawn.shown += 1; return; }
    } else if (at !== null && COMPONENTS.has(fiber.tag) && (fiber.flags & WORKED) !== 0) {
      const [kind, id] = at;
      window.drawn[kind][id] = (window.drawn[kind][id] ?? 0) + 1;
    }
    if (before !== null && before.child === fiber.child) return;
    for (let child = fiber.child; child !== null; child = child.sibling) walk(child, inside);
  };
  window.__REACT_DEVTOOLS_GLOBAL_HOOK__ = {
    supportsFiber: true, isDisabled: false, checkDCE() {}, inject: () => 1,
    onCommitFiberUnmount() {}, onPostCommitFiberRoot() {},
    onCommitFiberRoot(_, root) { window.drawnLast = performance.now(); walk(root.current, null); },
  };
}"""


@dataclass(frozen=True)
class Drawn:
    """How many components were drawn again, by node and by link, and how many nodes and links came into view."""

    nodes: dict[str, int]
    links: dict[str, int]
    shown: int


def count_drawn(context: BrowserContext) -> None:
    """Count in every page that the context opens from here on."""
    context.add_init_script(f"({_HOOK})()")


def start_counting(page: Page) -> None:
    """Count from nought, once what is on its way (token counts, the plan) has arrived and been drawn."""
    page.wait_for_function(f"() => performance.now() - window.drawnLast > {QUIET_MS}")
    page.evaluate("window.drawnAfresh()")


def drawn(page: Page) -> Drawn:
    """What was drawn since `start_counting`."""
    return Drawn(**page.evaluate("window.drawn"))
