/** Every action of the canvas: its name, its keys, when it can be done. Menus, keyboard and cheat sheet are made of this. */

import { graphOf } from "../../model/document";
import { own } from "../../model/json";
import { subgraphOf } from "../../model/nodes";
import { dialogs } from "../panels/dialogs";
import { ask } from "../ui/ask";
import type { CanvasContext } from "./context";
import { allIds, now, spot } from "./context";
import * as edits from "./edits";
import type { Wire } from "./flow";
import { saveImage } from "./image";
import { ui } from "./ui";

export type Section = "Add" | "Edit" | "Nodes" | "Arrange" | "View" | "Run and files";

export interface Action {
  readonly id: string;
  readonly title: string;
  readonly section: Section;
  /** Such as "mod+shift+z"; `mod` is Command on a Mac and Control elsewhere. */
  readonly keys?: readonly string[];
  /** The browser does it by itself on these keys (copy, cut, paste), so that they are only listed. */
  readonly native?: boolean;
  readonly enabled?: (context: CanvasContext) => boolean;
  readonly run: (context: CanvasContext) => void;
}

const some = (context: CanvasContext) => now(context).selected.nodes.length > 0;
const several = (context: CanvasContext) => now(context).selected.nodes.length > 1;
const anything = (context: CanvasContext) => now(context).state.selection.size > 0;
const state = (context: CanvasContext) => context.editor.getState();

function selectedWires(context: CanvasContext): Wire[] {
  return context.flow.getEdges().filter((edge) => edge.selected);
}

function usesSubgraph(context: CanvasContext): boolean {
  const { doc, at, selected } = now(context);
  const { nodes } = graphOf(doc, at);
  return selected.nodes.some((id) => {
    const node = own(nodes, id);
    return node !== undefined && subgraphOf(doc, node) !== null;
  });
}

function openSelected(context: CanvasContext): void {
  const { state: editor, doc, at, selected } = now(context);
  const node = own(graphOf(doc, at).nodes, selected.nodes[0] ?? "");
  const name = node === undefined ? null : subgraphOf(doc, node);
  if (name !== null) editor.openGraph(name);
}

export async function saveAs(context: CanvasContext): Promise<void> {
  const { file, history } = state(context);
  const usual = file.name ?? history.present.name ?? "";
  const name = await ask({ title: "Save as", label: "Name", value: usual, confirm: "Save" });
  if (name !== null && name !== "") await state(context).saveAs(name);
}

function save(context: CanvasContext): void {
  const { file } = state(context);
  if (file.name === null || file.shipped) void saveAs(context);
  else void state(context).save();
}

export const ACTIONS: readonly Action[] = [
  {
    id: "add",
    title: "Add a node",
    section: "Add",
    keys: ["tab", "mod+k"],
    run: (context) => ui.openPalette(spot(context)),
  },
  {
    id: "comment",
    title: "Add a comment",
    section: "Add",
    keys: ["c"],
    run: (context) => edits.comment(context, spot(context).place),
  },
  {
    id: "group",
    title: "Group",
    section: "Add",
    keys: ["mod+g"],
    run: (context) => edits.groupSelected(context, spot(context).place),
  },
  {
    id: "link",
    title: "Connect a port of the selected node",
    section: "Add",
    keys: ["l"],
    enabled: (context) => now(context).selected.nodes.length === 1,
    run: (context) => ui.openLinks(spot(context).at),
  },

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

  {
    id: "rename",
    title: "Rename",
    section: "Nodes",
    keys: ["f2"],
    enabled: (context) => state(context).selection.size === 1,
    run: (context) => ui.rename([...state(context).selection][0] ?? null),
  },
  {
    id: "mute",
    title: "Mute or unmute",
    section: "Nodes",
    keys: ["m"],
    enabled: some,
    run: (context) => edits.toggle(context, "mute"),
  },
  {
    id: "bypass",
    title: "Bypass or not",
    section: "Nodes",
    keys: ["b"],
    enabled: some,
    run: (context) => edits.toggle(context, "bypass"),
  },
  { id: "fold", title: "Fold or unfold", section: "Nodes", keys: ["f"], enabled: some, run: edits.fold },
  {
    id: "collapse",
    title: "Collapse into a subgraph",
    section: "Nodes",
    keys: ["mod+shift+g"],
    enabled: some,
    run: edits.collapseSelected,
  },
  {
    id: "expand",
    title: "Expand the subgraph",
    section: "Nodes",
    keys: ["mod+shift+e"],
    enabled: usesSubgraph,
    run: edits.expandSelected,
  },
  {
    id: "open",
    title: "Open the subgraph",
    section: "Nodes",
    keys: ["enter"],
    enabled: usesSubgraph,
    run: openSelected,
  },
  {
    id: "leave",
    title: "Leave the subgraph",
    section: "Nodes",
    keys: ["mod+arrowup"],
    enabled: (context) => state(context).path.length > 0,
    run: (context) => state(context).leaveGraph(),
  },

  {
    id: "layout",
    title: "Lay out",
    section: "Arrange",
    keys: ["shift+l"],
    run: (context) => void edits.layOut(context),
  },
  {
    id: "align-left",
    title: "Align left",
    section: "Arrange",
    keys: ["alt+a"],
    enabled: several,
    run: (context) => edits.alignSelected(context, "left"),
  },
  {
    id: "align-right",
    title: "Align right",
    section: "Arrange",
    keys: ["alt+d"],
    enabled: several,
    run: (context) => edits.alignSelected(context, "right"),
  },
  {
    id: "align-top",
    title: "Align top",
    section: "Arrange",
    keys: ["alt+w"],
    enabled: several,
    run: (context) => edits.alignSelected(context, "top"),
  },
  {
    id: "align-bottom",
    title: "Align bottom",
    section: "Arrange",
    keys: ["alt+s"],
    enabled: several,
    run: (context) => edits.alignSelected(context, "bottom"),
  },
  {
    id: "align-centre",
    title: "Align centres",
    section: "Arrange",
    keys: ["alt+h"],
    enabled: several,
    run: (context) => edits.alignSelected(context, "centre"),
  },
  {
    id: "align-middle",
    title: "Align middles",
    section: "Arrange",
    keys: ["alt+v"],
    enabled: several,
    run: (context) => edits.alignSelected(context, "middle"),
  },
  {
    id: "distribute-h",
    title: "Distribute across",
    section: "Arrange",
    keys: ["alt+shift+h"],
    enabled: several,
    run: (context) => edits.distributeSelected(context, "horizontal"),
  },
  {
    id: "distribute-v",
    title: "Distribute down",
    section: "Arrange",
    keys: ["alt+shift+v"],
    enabled: several,
    run: (context) => edits.distributeSelected(context, "vertical"),
  },
  {
    id: "nudge-left",
    title: "Move left",
    section: "Arrange",
    keys: ["arrowleft"],
    enabled: anything,
    run: (context) => edits.nudge(context, { x: -8, y: 0 }),
  },
  {
    id: "nudge-right",
    title: "Move right",
    section: "Arrange",
    keys: ["arrowright"],
    enabled: anything,
    run: (context) => edits.nudge(context, { x: 8, y: 0 }),
  },
  {
    id: "nudge-up",
    title: "Move up",
    section: "Arrange",
    keys: ["arrowup"],
    enabled: anything,
    run: (context) => edits.nudge(context, { x: 0, y: -8 }),
  },
  {
    id: "nudge-down",
    title: "Move down",
    section: "Arrange",
    keys: ["arrowdown"],
    enabled: anything,
    run: (context) => edits.nudge(context, { x: 0, y: 8 }),
  },

  {
    id: "fit",
    title: "Show all",
    section: "View",
    keys: [".", "home"],
    run: (context) => void context.flow.fitView({ duration: 200, padding: 0.12, maxZoom: 1 }),
  },
  {
    id: "zoom-in",
    title: "Zoom in",
    section: "View",
    keys: ["+", "="],
    run: (context) => void context.flow.zoomIn({ duration: 120 }),
  },
  {
    id: "zoom-out",
    title: "Zoom out",
    section: "View",
    keys: ["-"],
    run: (context) => void context.flow.zoomOut({ duration: 120 }),
  },
  {
    id: "zoom-one",
    title: "Actual size",
    section: "View",
    keys: ["0"],
    run: (context) => void context.flow.zoomTo(1, { duration: 120 }),
  },
  {
    id: "to-source",
    title: "Go to what feeds the node",
    section: "View",
    keys: ["alt+arrowleft"],
    run: (context) => edits.walk(context, "sources"),
  },
  {
    id: "to-reader",
    title: "Go to what reads the node",
    section: "View",
    keys: ["alt+arrowright"],
    run: (context) => edits.walk(context, "readers"),
  },
  {
    id: "to-above",
    title: "Go to the node above",
    section: "View",
    keys: ["alt+arrowup"],
    run: (context) => edits.walk(context, "above"),
  },
  {
    id: "to-below",
    title: "Go to the node below",
    section: "View",
    keys: ["alt+arrowdown"],
    run: (context) => edits.walk(context, "below"),
  },
  { id: "library", title: "Show or hide the library", section: "View", keys: ["n"], run: () => ui.toggleLibrary() },
  { id: "help", title: "Keyboard", section: "View", keys: ["?"], run: () => ui.showHelp(true) },

  {
    id: "run",
    title: "Run",
    section: "Run and files",
    keys: ["mod+enter"],
    run: (context) => void state(context).startRun(),
  },
  {
    id: "stop",
    title: "Stop the run",
    section: "Run and files",
    keys: ["mod+."],
    run: (context) => void state(context).cancelRun(),
  },
  { id: "save", title: "Save", section: "Run and files", keys: ["mod+s"], run: save },
  {
    id: "save-as",
    title: "Save as",
    section: "Run and files",
    keys: ["mod+shift+s"],
    run: (context) => void saveAs(context),
  },
  {
    id: "templates",
    title: "Open a workflow or template",
    section: "Run and files",
    keys: ["mod+o"],
    run: () => dialogs.open("templates"),
  },
  { id: "export", title: "Export", section: "Run and files", keys: ["mod+e"], run: () => dialogs.open("export") },
  {
    id: "image",
    title: "Save a picture of the graph",
    section: "Run and files",
    run: (context) => void saveImage(context),
  },
];

/** An action by its id. */
export function action(id: string): Action {
  const found = ACTIONS.find((one) => one.id === id);
  if (found === undefined) throw new Error(`There is no action ${id}`);
  return found;
}
