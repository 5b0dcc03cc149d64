/** A picture of the whole graph as it is drawn. */

import { getNodesBounds } from "@xyflow/react";
import type { Box } from "../../model/view";
import { type CanvasContext, now } from "./context";
import { ui } from "./ui";

const MARGIN_PX = 40;
const SHARP = 2;
/** Browsers draw no larger canvas than about this. */
const MOST_PX = 12_000;
/** How long nodes that were out of view may take to appear. */
const MOST_FRAMES = 300;

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

/** The whole graph as the data URL of a PNG, whatever part of it is in view. */
async function draw(context: CanvasContext): Promise<string> {
  ui.drawWhole(true);
  try {
    await appeared(context);
    return await drawn(context);
  } finally {
    ui.drawWhole(false);
  }
}

/** Until every node and link is there and has its size, and the pictures on them are loaded. */
async function appeared({ flow }: CanvasContext): Promise<void> {
  const there = () =>
    flow.getNodes().every((node) => node.measured?.width !== undefined) &&
    document.querySelectorAll(".react-flow__node").length >= flow.getNodes().length &&
    document.querySelectorAll(".react-flow__edge-path").length >= flow.getEdges().length;
  for (let frame = 0; frame < MOST_FRAMES; frame++) {
    await new Promise(requestAnimationFrame);
    if (frame > 1 && there()) break;
  }
  const pictures = document.querySelectorAll<HTMLImageElement>(".react-flow__viewport img");
  await Promise.allSettled(Array.from(pictures, (picture) => picture.decode()));
}

async function drawn(context: CanvasContext): Promise<string> {
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
  const links = linksAsOne({ x: bounds.x - MARGIN_PX, y: bounds.y - MARGIN_PX, width, height });
  viewport.prepend(links);
  try {
    const filter = (element: HTMLElement) => !element.classList?.contains("react-flow__edges");
    const fontEmbedCSS = await fontStyle();
    return await toPng(viewport, {
      backgroundColor: background,
      width,
      height,
      pixelRatio,
      style,
      filter,
      fontEmbedCSS,
    });
  } finally {
    links.remove();
  }
}

const SVG = "http://www.w3.org/2000/svg";

/** All links as one drawing with a size of its own: React Flow's have none, and would not get onto the picture. */
function linksAsOne({ x, y, width, height }: Box): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
  svg.setAttribute("width", String(width));
  svg.setAttribute("height", String(height));
  Object.assign(svg.style, { position: "absolute", left: `${x}px`, top: `${y}px`, pointerEvents: "none" });
  for (const link of document.querySelectorAll<SVGPathElement>(".react-flow__edge-path")) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", link.getAttribute("d") ?? "");
    path.setAttribute("fill", "none");
    path.setAttribute("stroke", getComputedStyle(link).stroke);
    path.setAttribute("stroke-width", "2");
    svg.append(path);
  }
  return svg;
}

/** The editor's font inside the style, because a picture fetches nothing. */
async function fontStyle(): Promise<string> {
  const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]);
  const latin = rules.find((rule) => rule instanceof CSSFontFaceRule && /U\+0(?:000)?-0?0?FF\b/i.test(rule.cssText));
  const address = /url\("?([^")]+)"?\)/.exec(latin?.cssText ?? "")?.[1];
  if (latin === undefined || address === undefined) return "";
  const font = await (await fetch(new URL(address, latin.parentStyleSheet?.href ?? location.href))).arrayBuffer();
  const text = Array.from(new Uint8Array(font), (byte) => String.fromCharCode(byte)).join("");
  return latin.cssText.replace(address, `data:font/woff2;base64,${btoa(text)}`);
}
