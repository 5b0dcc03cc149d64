/** How components around the canvas reach it. */

import { useReactFlow } from "@xyflow/react";
import { createContext, type ReactNode, useContext, useMemo } from "react";
import type { Point } from "../../model/view";
import { useEditorStore } from "../../store/context";
import type { CanvasContext } from "./context";
import type { CanvasNode, Wire } from "./flow";

const Canvas = createContext<CanvasContext | null>(null);

let pointer: Point = { x: -1, y: -1 };
globalThis.addEventListener?.("pointermove", (event) => {
  pointer = { x: event.clientX, y: event.clientY };
});

export function CanvasProvider({ children }: { readonly children: ReactNode }) {
  const editor = useEditorStore();
  const flow = useReactFlow<CanvasNode, Wire>();
  const context = useMemo<CanvasContext>(
    () => ({
      editor,
      flow,
      pointer: () => pointer,
      frame: () => document.querySelector(".react-flow")?.getBoundingClientRect() ?? new DOMRect(),
    }),
    [editor, flow],
  );
  return <Canvas.Provider value={context}>{children}</Canvas.Provider>;
}

export function useCanvas(): CanvasContext {
  const context = useContext(Canvas);
  if (context === null) throw new Error("useCanvas needs a CanvasProvider above it");
  return context;
}
