/** What is cheaper while the view or nodes move: said to the style sheet, because React has nothing to draw then. */

import { useStoreApi } from "@xyflow/react";
import { useMemo, useRef } from "react";
import { around, type Box } from "../../model/view";
import styles from "./Canvas.module.css";
import { distanceAt } from "./distance";

/** How far the backing reaches beyond what it backs, in the canvas' pixels: a node that is dragged out stays on it. */
const MARGIN_PX = 2000;

export interface Moving {
  readonly canvas: React.RefObject<HTMLDivElement | null>;
  /** The view starts to move. Each of these has one identity, because React Flow tells everyone of another one. */
  readonly view: () => void;
  /** Nodes start to be dragged. */
  readonly nodes: () => void;
  readonly end: () => void;
}

export function useMoving(): Moving {
  const canvas = useRef<HTMLDivElement>(null);
  const store = useStoreApi();
  return useMemo(() => {
    const backing = document.createElement("div");
    backing.className = styles.backing ?? "";
    const start = (what: "view" | "nodes") => () => {
      const { transform, nodeLookup, domNode } = store.getState();
      const placed = Array.from(nodeLookup.values(), ({ internals, measured }) => ({
        ...internals.positionAbsolute,
        width: measured.width ?? 0,
        height: measured.height ?? 0,
      }));
      const box = distanceAt(transform[2]) === "near" ? null : around(placed, MARGIN_PX);
      if (box !== null) domNode?.querySelector(".react-flow__viewport")?.prepend(spread(backing, box));
      canvas.current?.setAttribute("data-moving", what);
    };
    return {
      canvas,
      view: start("view"),
      nodes: start("nodes"),
      end() {
        backing.remove();
        canvas.current?.removeAttribute("data-moving");
      },
    };
  }, [store]);
}

/**
 * What lies behind all nodes while they move, from afar. A browser puts things that have a transform of their own into
 * one layer only where they fill most of it, and nodes far apart do not: without a backing each would be a layer, which
 * is compared with all others at every move (500 nodes: 30 ms).
 */
function spread(backing: HTMLElement, { x, y, width, height }: Box): HTMLElement {
  Object.assign(backing.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
  return backing;
}
