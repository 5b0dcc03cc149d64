/** Undo, the clipboard, and what is selected. */

import type { CanvasContext } from "../context";
import { allIds } from "../context";
import * as edits from "../edits";
import type { Wire } from "../flow";
import { type Action, anything, state } from "./action";

function selectedWires(context: CanvasContext): Wire[] {
  return context.flow.getEdges().filter((edge) => edge.selected);
}

export const EDITING: readonly Action[] = [
  {
    id: "undo",
    title: "Undo",
    section: "Edit",
    keys: ["mod+z"],
    enabled: (context) => state(context).history.past.length > 0,
    run: (context) => state(context).undo(),
  },
  {
    id: "redo",
    title: "Redo",
    section: "Edit",
    keys: ["mod+shift+z", "mod+y"],
    enabled: (context) => state(context).history.future.length > 0,
    run: (context) => state(context).redo(),
  },
  {
    id: "cut",
    title: "Cut",
    section: "Edit",
    keys: ["mod+x"],
    native: true,
    enabled: anything,
    run: () => document.execCommand("cut"),
  },
  {
    id: "copy",
    title: "Copy",
    section: "Edit",
    keys: ["mod+c"],
    native: true,
    enabled: anything,
    run: () => document.execCommand("copy"),
  },
  {
    id: "paste",
    title: "Paste",
    section: "Edit",
    keys: ["mod+v"],
    native: true,
    run: () => document.execCommand("paste"),
  },
  { id: "duplicate", title: "Duplicate", section: "Edit", keys: ["mod+d"], enabled: anything, run: edits.duplicate },
  {
    id: "delete",
    title: "Delete",
    section: "Edit",
    keys: ["delete", "backspace"],
    enabled: (context) => anything(context) || selectedWires(context).length > 0,
    run: (context) => edits.removeSelected(context, selectedWires(context)),
  },
  {
    id: "all",
    title: "Select all",
    section: "Edit",
    keys: ["mod+a"],
    run: (context) => state(context).select(allIds(context)),
  },
];
