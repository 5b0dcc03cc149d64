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
        const { dragged } = useCanvasUi.getState();
        say((dragged === null ? undefined : wireFor(context, event, dragged)?.id) ?? null);
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
        const wire = wireFor(context, event, type);
        if (wire === undefined || !addInto(context, type, place, wire)) add(context, type, place);
      },
    };
  }, [context]);
}

/** The first of the links under the pointer, which may lie close to each other, that a node of a type fits into. */
function wireFor(context: CanvasContext, { clientX, clientY }: DragEvent, type: string): Wire | undefined {
  return document
    .elementsFromPoint(clientX, clientY)
    .flatMap((element) => {
      const link = element.closest(".react-flow__edge");
      return context.flow.getEdge(link?.getAttribute("data-id") ?? "") ?? [];
    })
    .find((wire) => fitsInto(context, type, wire));
}
