/** A picture of the whole graph as it is drawn. */

import { getNodesBounds } from "@xyflow/react";
import { type CanvasContext, now } from "./context";

const MARGIN_PX = 40;
const SHARP = 2;
/** Browsers draw no larger canvas than about this. */
const MOST_PX = 12_000;

/** Download a PNG of the open graph. */
export async function saveImage(context: CanvasContext): Promise<void> {
  const { state, doc } = now(context);
  try {
    const url = await draw(context);
    const link = document.createElement("a");
    link.download = `${doc.name || "workflow"}.graph.png`;
    link.href = url;
    link.click();
  } catch (error) {
    const why = error instanceof Error ? error.message : "the browser could not draw it";
    state.notify({ kind: "bad", text: `The picture could not be made: ${why}` });
  }
}

/** The graph as the data URL of a PNG. */
export async function draw(context: CanvasContext): Promise<string> {
  const nodes = context.flow.getNodes();
  const bounds = getNodesBounds(nodes);
  const width = Math.ceil(bounds.width + 2 * MARGIN_PX);
  const height = Math.ceil(bounds.height + 2 * MARGIN_PX);
  const viewport = document.querySelector<HTMLElement>(".react-flow__viewport");
  if (viewport === null || nodes.length === 0) throw new Error("there is nothing on the canvas");
  const { toPng } = await import("html-to-image");
  const background = getComputedStyle(document.documentElement).getPropertyValue("--surface-canvas");
  const transform = `translate(${MARGIN_PX - bounds.x}px, ${MARGIN_PX - bounds.y}px) scale(1)`;
  const style = { width: `${width}px`, height: `${height}px`, transform };
  const pixelRatio = Math.min(SHARP, MOST_PX / Math.max(width, height));
  return toPng(viewport, { backgroundColor: background, width, height, pixelRatio, style });
}
