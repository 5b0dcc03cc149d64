/** Adding nodes, comments, groups and links. */

import { now, spot } from "../context";
import * as edits from "../edits";
import { ui } from "../ui";
import type { Action } from "./action";

export const ADDING: readonly Action[] = [
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
];
