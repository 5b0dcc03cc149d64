/** Menus of the canvas, of a selection, of a port, of a link. */

import type { GraphName, PortRef } from "../../model/document";
import { graphOf } from "../../model/document";
import { exposedAs, exposeInput, exposeOutput, hideInput, outputName, removeOutput } from "../../model/exposed";
import { own } from "../../model/json";
import { resetValue } from "../../model/values";
import { type MenuEntry, MenuList } from "../ui/MenuList";
import { action } from "./actions";
import { type CanvasContext, now } from "./context";
import { paint, reroute, unlink } from "./edits";
import type { Wire } from "./flow";
import { useCanvas } from "./provide";
import { type MenuTarget, ui, useCanvasUi } from "./ui";

export function ContextMenuHost() {
  const context = useCanvas();
  const menu = useCanvasUi((state) => state.menu);
  if (menu === null) return null;
  return <MenuList at={menu.at} label="Menu" entries={entriesOf(context, menu.target)} onClose={ui.closeMenu} />;
}

/** Colours that nodes and groups can have. */
const COLORS = ["#5b54e8", "#2383b8", "#0f8f6c", "#b7791f", "#d0446a", "#8b3fd1", "#64748b"];

function entriesOf(context: CanvasContext, target: MenuTarget): MenuEntry[] {
  switch (target.kind) {
    case "pane":
      return paneEntries(context, target.place);
    case "selection":
      return selectionEntries(context);
    case "port":
      return portEntries(context, target.ref, target.side);
    case "wire":
      return wireEntries(context, target.id, target.place);
  }
}

function of(context: CanvasContext, id: string): MenuEntry {
  const { title, keys, enabled, run } = action(id);
  return {
    kind: "item",
    title,
    ...(keys?.[0] ? { keys: keys[0] } : {}),
    disabled: enabled !== undefined && !enabled(context),
    run: () => run(context),
  };
}

const LINE: MenuEntry = { kind: "line" };

function paneEntries(context: CanvasContext, place: { x: number; y: number }): MenuEntry[] {
  const at = context.flow.flowToScreenPosition(place);
  return [
    { kind: "item", title: "Add a node\u2026", keys: "tab", run: () => ui.openPalette({ at, place }) },
    of(context, "comment"),
    of(context, "group"),
    LINE,
    of(context, "paste"),
    of(context, "all"),
    LINE,
    of(context, "layout"),
    of(context, "fit"),
    of(context, "image"),
  ];
}

function selectionEntries(context: CanvasContext): MenuEntry[] {
  const { selected } = now(context);
  const several = selected.nodes.length > 1;
  const subgraph = ["open", "expand"].filter((id) => action(id).enabled?.(context));
  return [
    ...subgraph.map((id) => of(context, id)),
    ...(subgraph.length > 0 ? [LINE] : []),
    of(context, "rename"),
    of(context, "duplicate"),
    of(context, "copy"),
    of(context, "delete"),
    LINE,
    of(context, "mute"),
    of(context, "bypass"),
    of(context, "fold"),
    LINE,
    of(context, "group"),
    of(context, "collapse"),
    ...(several
      ? [LINE, ...["align-left", "align-top", "distribute-h", "distribute-v", "layout"].map((id) => of(context, id))]
      : []),
    LINE,
    {
      kind: "colors",
      title: "Colour",
      colors: COLORS,
      run: (color) => paint(context, color ?? undefined),
    },
  ];
}

function portEntries(context: CanvasContext, ref: PortRef, side: "input" | "output"): MenuEntry[] {
  const { state, doc, at } = now(context);
  const graph = graphOf(doc, at);
  const where = at === null ? "the workflow" : "the subgraph";
  if (side === "output") {
    const name = outputName(graph, ref);
    const make = () => state.apply((before) => exposeOutput(before, at, ref), { label: "Make an output" });
    const take = () =>
      name !== null && state.apply((before) => removeOutput(before, at, name), { label: "Remove output" });
    return [
      name === null
        ? { kind: "item", title: `Make it an output of ${where}`, run: make }
        : { kind: "item", title: `Remove the output \u201c${name}\u201d of ${where}`, run: take },
    ];
  }
  return inputEntries(context, ref, at, where);
}

function inputEntries(context: CanvasContext, ref: PortRef, at: GraphName, where: string): MenuEntry[] {
  const { state, doc } = now(context);
  const graph = graphOf(doc, at);
  const node = own(graph.nodes, ref.node);
  const name = exposedAs(graph, ref);
  const expose = () => state.apply((before) => exposeInput(before, at, ref), { label: "Make an input" });
  const hide = () => state.apply((before) => hideInput(before, at, ref), { label: "Remove input" });
  return [
    name === null
      ? { kind: "item", title: `Make it an input of ${where}`, run: expose }
      : { kind: "item", title: `Take it from the input \u201c${name}\u201d`, run: hide },
    LINE,
    {
      kind: "item",
      title: "Disconnect",
      disabled: own(node?.links, ref.port) === undefined,
      run: () => unlink(context, ref),
    },
    {
      kind: "item",
      title: "Back to the default",
      disabled: own(node?.values, ref.port) === undefined,
      run: () => state.apply((before) => resetValue(before, at, ref.node, ref.port), { label: "Reset" }),
    },
  ];
}

function wireEntries(context: CanvasContext, id: string, place: { x: number; y: number }): MenuEntry[] {
  const wire = context.flow.getEdge(id) as Wire | undefined;
  const target = wire?.data?.target ?? null;
  if (wire === undefined || target === null)
    return [{ kind: "item", title: "A link between two points", disabled: true, run: () => undefined }];
  return [
    { kind: "item", title: "Lead it through a point", run: () => reroute(context, wire, place) },
    { kind: "item", title: "Disconnect", run: () => unlink(context, target) },
  ];
}
