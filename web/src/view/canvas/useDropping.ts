/** Nodes dragged from the library: onto the canvas, or into a link that then goes through them. */

import { type DragEvent, useMemo } from "react";
import { remember } from "../palette/entries";
import { add, addInto, fitsInto } from "./adding";
import type { CanvasContext } from "./context";
import type { Wire } from "./flow";
import { useCanvasUi } from "./ui";

/** The kind of data that a dragged node carries. */
export const DRAGGED = "application/x-sdgraph-node";
/** The pointer is at the new node's title, not at its corner. */
const GRASP_PX = 60;

export function useDropping(context: CanvasContext) {
  return useMemo(() => {
    const say = (target: string | null) => useCanvasUi.setState({ target });
    return {
      onDragOver(event: DragEvent) {
        if (!event.dataTransfer.types.includes(DRAGGED)) return;
        event.preventDefault();
        event.dataTransfer.dropEffect = "copy";
        const wire = wireAt(context, event);
        const { dragged } = useCanvasUi.getState();
        say(wire !== null && dragged !== null && fitsInto(context, dragged, wire) ? wire.id : null);
      },
      onDragLeave: () => say(null),
      onDrop(event: DragEvent) {
        const type = event.dataTransfer.getData(DRAGGED);
        if (type === "") return;
        event.preventDefault();
        say(null);
        remember(type);
        const { x, y } = context.flow.screenToFlowPosition({ x: event.clientX, y: event.clientY });
        const place = { x: x - GRASP_PX, y };
        const wire = wireAt(context, event);
        if (wire === null || !addInto(context, type, place, wire)) add(context, type, place);
      },
    };
  }, [context]);
}

/** The link under the pointer that ends at a port. */
function wireAt(context: CanvasContext, { clientX, clientY }: DragEvent): Wire | null {
  const element = document.elementFromPoint(clientX, clientY)?.closest(".react-flow__edge");
  const wire = context.flow.getEdge(element?.getAttribute("data-id") ?? "");
  return wire?.data?.target ? wire : null;
}
