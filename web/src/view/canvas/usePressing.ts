/** Menus, and what a double press on a link does. The handlers stay the same: with others every link is drawn again. */

import { type MouseEvent, useMemo } from "react";
import type { CanvasContext } from "./context";
import { reroute } from "./edits";
import type { CanvasNode, Wire } from "./flow";
import { type MenuTarget, ui } from "./ui";

type Press = MouseEvent | globalThis.MouseEvent;

export function usePressing(context: CanvasContext) {
  return useMemo(() => {
    const placeOf = (event: Press) => context.flow.screenToFlowPosition({ x: event.clientX, y: event.clientY });
    return {
      onEdgeDoubleClick: (event: Press, wire: Wire) => reroute(context, wire, placeOf(event)),
      onPaneContextMenu: (event: Press) => openMenu(event, { kind: "pane", place: placeOf(event) }),
      onNodeContextMenu(event: Press, node: CanvasNode) {
        const { selection, select } = context.editor.getState();
        if (!selection.has(node.id)) select([node.id]);
        openMenu(event, { kind: "selection" });
      },
      onSelectionContextMenu: (event: Press) => openMenu(event, { kind: "selection" }),
      onEdgeContextMenu: (event: Press, wire: Wire) =>
        openMenu(event, { kind: "wire", id: wire.id, place: placeOf(event) }),
    };
  }, [context]);
}

function openMenu(event: Press, target: MenuTarget): void {
  event.preventDefault();
  ui.openMenu({ at: { x: event.clientX, y: event.clientY }, target });
}
