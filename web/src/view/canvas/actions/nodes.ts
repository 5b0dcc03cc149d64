/** What is done to nodes, and going in and out of subgraphs. */

import { graphOf } from "../../../model/document";
import { own } from "../../../model/json";
import { subgraphOf } from "../../../model/nodes";
import type { CanvasContext } from "../context";
import { now } from "../context";
import * as edits from "../edits";
import { ui } from "../ui";
import { type Action, some, state } from "./action";

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

export const NODES: readonly Action[] = [
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
];
