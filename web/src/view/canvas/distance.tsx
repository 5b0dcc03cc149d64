/** How much of a node can be made out at a zoom. What cannot is not drawn: most of a large graph is far away. */

import { type ReactFlowState, useStore, useStoreApi } from "@xyflow/react";
import { createContext, type ReactNode, useContext, useDeferredValue, useEffect, useRef } from "react";
import { useCanvasUi } from "./ui";

/** Below this zoom widgets could not be used: values are shown as text. */
const FAR = 0.4;
/** Below this one nothing can be read: values are bars, and only handles that links need are there. */
const TINY = 0.28;

/** From near to far. */
const DISTANCES = ["near", "far", "tiny"] as const;
export type Distance = (typeof DISTANCES)[number];

export function distanceAt(zoom: number): Distance {
  return zoom < TINY ? "tiny" : zoom < FAR ? "far" : "near";
}

/** The one at which less can be made out. */
export function farther(a: Distance, b: Distance): Distance {
  return DISTANCES.indexOf(a) > DISTANCES.indexOf(b) ? a : b;
}

const Shown = createContext<Distance>("near");

/** The distance of all nodes; what uses it is drawn again only where it becomes another one. Pictures are of the near. */
export function useDistance(): Distance {
  return useContext(Shown);
}

/**
 * Watches the zoom once for all nodes and links. What becomes smaller is drawn so at once; details of many nodes take
 * longer to draw than a frame lasts, so that they come as soon as the view rests for a moment.
 */
export function DistanceProvider({ children }: { readonly children: ReactNode }) {
  const distance = useStore(distanceOf);
  const later = useDeferredValue(distance);
  const whole = useCanvasUi((state) => state.whole);
  const shown = whole ? "near" : farther(distance, later);
  useNewHandles(shown === "tiny");
  return <Shown.Provider value={shown}>{children}</Shown.Provider>;
}

const distanceOf = (state: ReactFlowState): Distance => distanceAt(state.transform[2]);

/** Handles that appear when one comes nearer have to be made known, of all nodes together; later ones make themselves known. */
function useNewHandles(tiny: boolean): void {
  const store = useStoreApi();
  const before = useRef(tiny);
  useEffect(() => {
    if (before.current === tiny) return;
    before.current = tiny;
    const { domNode, updateNodeInternals } = store.getState();
    const drawn = domNode?.querySelectorAll<HTMLDivElement>(".react-flow__node") ?? [];
    const updates = Array.from(drawn, (nodeElement) => {
      const id = nodeElement.dataset["id"] ?? "";
      return [id, { id, nodeElement, force: true }] as const;
    });
    const frame = requestAnimationFrame(() => updateNodeInternals(new Map(updates)));
    return () => cancelAnimationFrame(frame);
  }, [tiny, store]);
}
