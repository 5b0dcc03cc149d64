/** Shows the whole of a graph when it is opened. */

import { getViewportForBounds } from "@xyflow/react";
import { useLayoutEffect, useRef } from "react";
import { graphOf, openGraphName } from "../../model/document";
import { inspect } from "../../model/inspect";
import { around, positionOf } from "../../model/view";
import { useEditor } from "../../store/context";
import { type CanvasContext, now } from "./context";
import { fallbackPlaces, NODE_WIDTH } from "./flow";

/** Nodes are not measured yet when the view is chosen, so that a large graph is drawn small from the start. */
const USUAL_HEIGHT = 260;
const PADDING = 0.1;

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
    else if (width > 0) void context.flow.setViewport(getViewportForBounds(box, width, height, 0.05, 1, PADDING));
    // Once nodes are measured the view can be exact.
    const timer = setTimeout(() => void context.flow.fitView({ padding: PADDING, maxZoom: 1, minZoom: 0.05 }), 60);
    return () => clearTimeout(timer);
  }, [context, opened, at]);
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
