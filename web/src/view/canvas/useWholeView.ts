/** Shows the whole of a graph when it is opened. */

import { getViewportForBounds, type Viewport } from "@xyflow/react";
import { useLayoutEffect, useRef } from "react";
import { graphOf, openGraphName } from "../../model/document";
import { inspect } from "../../model/inspect";
import { around, type Box, positionOf } from "../../model/view";
import { useEditor } from "../../store/context";
import { type CanvasContext, now } from "./context";
import { showAll, WHOLE } from "./fitting";
import { fallbackPlaces, NODE_WIDTH } from "./flow";

/** Nodes are not measured yet when the view is chosen, so that a large graph is drawn small from the start. */
const USUAL_HEIGHT = 260;

export function useWholeView(context: CanvasContext): void {
  const opened = useEditor((state) => state.opened);
  const at = useEditor((state) => openGraphName(state.path));
  const seen = useRef("");
  useLayoutEffect(() => {
    const which = `${opened} ${at}`;
    if (seen.current === which) return;
    seen.current = which;
    const box = boundsOf(context);
    const { width, height } = context.frame();
    if (box === null) void context.flow.setViewport({ x: width / 3, y: height / 4, zoom: 1 });
    else if (width > 0) void context.flow.setViewport(wholeOf(box, width, height));
    // Once nodes are measured the view can be exact.
    const timer = setTimeout(() => showAll(context), 60);
    return () => clearTimeout(timer);
  }, [context, opened, at]);
}

function wholeOf(box: Box, width: number, height: number): Viewport {
  return getViewportForBounds(box, width, height, WHOLE.minZoom, WHOLE.maxZoom, WHOLE.padding);
}

function boundsOf(context: CanvasContext) {
  const { state, doc, at } = now(context);
  const placed = (id: string) => positionOf(doc, at, id);
  const ids = Object.keys(graphOf(doc, at).nodes);
  const missing = ids.some((id) => placed(id) === undefined);
  const fallback = missing ? fallbackPlaces(inspect(state.catalog, doc, at), placed) : null;
  const boxes = ids.flatMap((id) => {
    const place = placed(id) ?? fallback?.get(id);
    return place === undefined ? [] : [{ ...place, width: NODE_WIDTH, height: USUAL_HEIGHT }];
  });
  return around(boxes);
}
