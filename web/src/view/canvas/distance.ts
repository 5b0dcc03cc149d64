/** How much of a node can be made out at a zoom. What cannot is not drawn: most of a large graph is far away. */

import { type ReactFlowState, useStore } from "@xyflow/react";
import { useCanvasUi } from "./ui";

/** Below this zoom widgets could not be used: values are shown as text. */
const FAR = 0.4;
/** Below this one nothing can be read: values are bars, and only handles that links need are there. */
const TINY = 0.28;

export type Distance = "near" | "far" | "tiny";

export function distanceAt(zoom: number): Distance {
  return zoom < TINY ? "tiny" : zoom < FAR ? "far" : "near";
}

/** The distance of all nodes; what uses it is drawn again only where it becomes another one. Pictures are of the near. */
export function useDistance(): Distance {
  const distance = useStore(distanceOf);
  return useCanvasUi((state) => state.whole) ? "near" : distance;
}

const distanceOf = (state: ReactFlowState): Distance => distanceAt(state.transform[2]);
