/** Showing all of a graph, or a part of it, as large as it can be read without covering it. */

import type { CanvasContext } from "./context";
import { now } from "./context";

/** Room for the bar that leads out of a subgraph above, and for that of the zoom below. */
const PADDING = { x: "24px", top: "52px", bottom: "64px" } as const;

/** What a view of the whole may be: never larger than the nodes' own size. */
export const WHOLE = { padding: PADDING, minZoom: 0.05, maxZoom: 1 };

export function showAll(context: CanvasContext, duration?: number): void {
  void context.flow.fitView(duration === undefined ? WHOLE : { ...WHOLE, duration });
}

export function showSelected(context: CanvasContext, duration: number): void {
  const nodes = [...now(context).state.selection].map((id) => ({ id }));
  if (nodes.length > 0) void context.flow.fitView({ ...WHOLE, duration, nodes });
}
