/** What people do on the canvas, as changes of the document. */

import { type Alignment, type Axis, align, distribute } from "../../model/arrange";
import { copy, type Fragment, paste } from "../../model/clipboard";
import { collapse, collapseProblem, expand, freshGraphName } from "../../model/collapse";
import { canConnect, connect, disconnect } from "../../model/connect";
import { graphOf, type PortRef, parseRef } from "../../model/document";
import { addComment, addGroup, changeComment, changeGroup, freshFrame, removeFrames } from "../../model/frames";
import { own } from "../../model/json";
import { freshNodeId, removeNodes, toggleMode } from "../../model/nodes";
import { addReroute, freshReroute, moveReroutes, removeReroutes } from "../../model/reroute";
import { around, looksOf, type Point, placeNodes, setLook } from "../../model/view";
import type { CanvasContext } from "./context";
import { boxesOf, boxOf, framesOf, now, snapped } from "./context";
import { showAll } from "./fitting";
import { commentId, groupId, rerouteId, type Wire } from "./flow";
import { layoutPlaces } from "./layout";
import { ui } from "./ui";

/** Connect two ports, or say why not, near the pointer. */
export function link(context: CanvasContext, from: PortRef, to: PortRef): boolean {
  const { state, doc, at } = now(context);
  const verdict = canConnect(state.catalog, doc, at, from, to);
  if (verdict.ok) state.apply((before) => connect(before, at, from, to), { label: "Connect" });
  else
    state.notify({
      kind: "bad",
      text: verdict.why,
      at: context.pointer(),
      ...(verdict.hint ? { hint: verdict.hint } : {}),
    });
  return verdict.ok;
}

export function unlink(context: CanvasContext, to: PortRef): void {
  const { state, at } = now(context);
  state.apply((doc) => disconnect(doc, at, to), { label: "Disconnect" });
}

/** Remove what is selected; links are removed too when they are. */
export function removeSelected(context: CanvasContext, wires: readonly Wire[]): void {
  const { state, at, selected } = now(context);
  const change = (doc: typeof state.history.present) => {
    let left = removeNodes(doc, at, selected.nodes);
    for (const { data } of wires) if (data?.target) left = disconnect(left, at, data.target);
    left = removeReroutes(left, at, selected.reroutes);
    return removeFrames(left, at, selected.groups, selected.comments);
  };
  state.apply(change, { label: "Delete" });
}

export function copySelected(context: CanvasContext): Fragment | null {
  const { doc, at, selected } = now(context);
  const fragment = copy(doc, at, new Set(selected.nodes), {
    groups: new Set(selected.groups),
    comments: new Set(selected.comments),
  });
  const count = Object.keys(fragment.nodes).length + fragment.groups.length + fragment.comments.length;
  if (count === 0) return null;
  // Nodes that nobody placed have the places that the canvas gave them.
  const places = Object.entries(boxesOf(context, selected.nodes)).map(([id, { x, y }]) => [id, { x, y }] as const);
  return { ...fragment, places: Object.fromEntries(places) };
}

/** Paste at a place, or beside the originals when there is none. */
export function pasteFragment(context: CanvasContext, fragment: Fragment, place: Point | null, outer = false): void {
  const { state, doc, at } = now(context);
  const corners = [...Object.values(fragment.places), ...fragment.groups, ...fragment.comments];
  const left = Math.min(...corners.map(({ x }) => x));
  const top = Math.min(...corners.map(({ y }) => y));
  const known = corners.length > 0;
  const offset =
    place === null || !known ? { x: 32, y: 32 } : { x: snapped(place.x - left), y: snapped(place.y - top) };
  const { document: after, added, refused } = paste(doc, at, fragment, offset, outer);
  state.apply(() => after, { label: "Paste" });
  state.select(added);
  if (refused.length > 0) state.notify({ kind: "bad", text: "A subgraph can't contain itself, so it was left out." });
}

export function duplicate(context: CanvasContext): void {
  const fragment = copySelected(context);
  if (fragment !== null) pasteFragment(context, fragment, null, true);
}

export function toggle(context: CanvasContext, mode: "mute" | "bypass"): void {
  const { state, at, selected } = now(context);
  state.apply((doc) => toggleMode(doc, at, selected.nodes, mode), { label: mode === "mute" ? "Mute" : "Bypass" });
}

export function collapseSelected(context: CanvasContext): void {
  const { state, doc, at, selected } = now(context);
  const why = collapseProblem(state.catalog, doc, at, selected.nodes);
  if (why !== null) {
    state.notify({ kind: "bad", text: why, at: context.pointer() });
    return;
  }
  const name = freshGraphName(doc);
  const id = freshNodeId(doc, at, name);
  const placed = (before: typeof doc) => placeNodes(before, at, boxesOf(context, selected.nodes));
  state.apply((before) => collapse(placed(before), at, selected.nodes, name, id), { label: "Collapse into subgraph" });
  state.select([id]);
  ui.rename(id);
}

export function expandSelected(context: CanvasContext): void {
  const { state, at, selected } = now(context);
  const before = new Set(Object.keys(graphOf(state.history.present, at).nodes));
  state.apply((doc) => selected.nodes.reduce((left, id) => expand(left, at, id), doc), { label: "Expand subgraph" });
  const after = Object.keys(graphOf(context.editor.getState().history.present, at).nodes);
  context.editor.getState().select(after.filter((id) => !before.has(id)));
}

export function groupSelected(context: CanvasContext, place: Point): void {
  const { state, doc, at, selected } = now(context);
  const box = around(Object.values(boxesOf(context, [...selected.nodes, ...selected.comments.map(commentId)])), 16);
  const size = box ?? { ...place, width: 320, height: 240 };
  const id = freshFrame(doc, at, "group");
  const head = 28;
  const group = { ...size, y: size.y - head, height: size.height + head, title: "Group" };
  state.apply((before) => addGroup(before, at, id, group), { label: "Group" });
  state.select([groupId(id)]);
  ui.rename(groupId(id));
}

export function comment(context: CanvasContext, place: Point): void {
  const { state, doc, at } = now(context);
  const id = freshFrame(doc, at, "comment");
  const box = { x: snapped(place.x), y: snapped(place.y), width: 240, height: 96 };
  state.apply((before) => addComment(before, at, id, { ...box, text: "" }), { label: "Comment" });
  state.select([commentId(id)]);
  ui.rename(commentId(id));
}

/** Lead a link through a new point. */
export function reroute(context: CanvasContext, wire: Wire, place: Point): void {
  const { state, doc, at } = now(context);
  const { data } = wire;
  if (!data?.target) return;
  const { source, target } = data;
  const id = freshReroute(doc, at);
  const spot = { x: snapped(place.x - 7), y: snapped(place.y - 7) };
  state.apply((before) => addReroute(before, at, id, spot, source, [target]), { label: "Reroute" });
  state.select([rerouteId(id)]);
}

/** Move things to where they were dragged: one step of undo. */
export function moveTo(
  context: CanvasContext,
  places: Readonly<Record<string, Point>>,
  label = "Move",
  merge?: string,
): void {
  const { state, at } = now(context);
  const of = (prefix: string) =>
    Object.fromEntries(
      Object.entries(places)
        .filter(([id]) => id.startsWith(prefix))
        .map(([id, place]) => [id.slice(prefix.length), place]),
    );
  const cards = Object.fromEntries(Object.entries(places).filter(([id]) => !id.startsWith("@")));
  const change = (doc: typeof state.history.present) => {
    let moved = placeNodes(doc, at, cards);
    moved = moveReroutes(moved, at, of("@reroute:"));
    for (const [id, place] of Object.entries(of("@group:"))) moved = changeGroup(moved, at, id, place);
    for (const [id, place] of Object.entries(of("@comment:"))) moved = changeComment(moved, at, id, place);
    return moved;
  };
  state.apply(change, merge === undefined ? { label } : { label, merge });
}

export function nudge(context: CanvasContext, by: Point): void {
  const ids = [...now(context).state.selection];
  const moved = Object.entries(boxesOf(context, ids)).map(
    ([id, { x, y }]) => [id, { x: x + by.x, y: y + by.y }] as const,
  );
  moveTo(context, Object.fromEntries(moved), "Move", "nudge");
}

export function alignSelected(context: CanvasContext, how: Alignment): void {
  moveTo(context, align(boxesOf(context, now(context).selected.nodes), how), "Align");
}

export function distributeSelected(context: CanvasContext, axis: Axis): void {
  moveTo(context, distribute(boxesOf(context, now(context).selected.nodes), axis), "Distribute");
}

/** Lay the selected nodes out, or all of them. */
export async function layOut(context: CanvasContext): Promise<void> {
  const { state, doc, at, selected } = now(context);
  const all = Object.keys(graphOf(doc, at).nodes);
  const ids = selected.nodes.length > 1 ? selected.nodes : all;
  const boxes = boxesOf(context, ids);
  try {
    const places = await layoutPlaces(graphOf(doc, at), boxes);
    moveTo(context, places, "Lay out");
    if (ids === all) requestAnimationFrame(() => showAll(context, 250));
  } catch (error) {
    state.notify({ kind: "bad", text: `The layout failed: ${error instanceof Error ? error.message : String(error)}` });
  }
}

export function fold(context: CanvasContext): void {
  const { state, at, selected } = now(context);
  const looks = looksOf(state.history.present, at);
  const all = selected.nodes.every((id) => own(looks, id)?.folded);
  const folded = all ? undefined : true;
  state.apply((doc) => selected.nodes.reduce((left, id) => setLook(left, at, id, { folded }), doc), { label: "Fold" });
}

/** Give nodes and groups a colour; undefined: that of their kind. */
export function paint(context: CanvasContext, color: string | undefined): void {
  const { state, at, selected } = now(context);
  const change = (doc: typeof state.history.present) => {
    let painted = selected.nodes.reduce((left, id) => setLook(left, at, id, { color }), doc);
    for (const id of selected.groups) {
      const group = own(framesOf(painted, at).groups, id);
      if (group === undefined) continue;
      const { color: _, ...plain } = group;
      painted = addGroup(painted, at, id, color === undefined ? plain : { ...plain, color });
    }
    return painted;
  };
  state.apply(change, { label: "Colour" });
}

/** Select the nodes that feed the selected one, or read it. */
export function walk(context: CanvasContext, direction: "sources" | "readers" | "above" | "below"): void {
  const { state, doc, at, selected } = now(context);
  const { nodes } = graphOf(doc, at);
  const [here] = selected.nodes;
  if (here === undefined) {
    const [first] = Object.keys(nodes);
    if (first !== undefined) state.select([first]);
    return;
  }
  const links = (id: string) => Object.values(own(nodes, id)?.links ?? {}).map((ref) => parseRef(ref).node);
  const readers = Object.keys(nodes).filter((id) => links(id).includes(here));
  const sources = [...new Set(links(here))];
  const from = boxOf(context, here);
  const vertical = (sign: number) =>
    Object.keys(nodes)
      .filter((id) => id !== here)
      .map((id) => ({ id, box: boxOf(context, id) }))
      .filter(({ box }) => box !== null && from !== null && (box.y - from.y) * sign > 0)
      .sort((a, b) => distance(a.box, from) - distance(b.box, from))
      .map(({ id }) => id);
  const found = { sources, readers, above: vertical(-1), below: vertical(1) }[direction].filter((id) => own(nodes, id));
  const [next] = found;
  if (next === undefined) return;
  state.select([next]);
  show(context, next);
}

/** Bring a node into view if it is not, and give it the focus. */
export function show(context: CanvasContext, id: string): void {
  const box = boxOf(context, id);
  if (box === null) return;
  const { left, top, right, bottom } = context.frame();
  const corner = context.flow.flowToScreenPosition(box);
  const end = context.flow.flowToScreenPosition({ x: box.x + box.width, y: box.y + box.height });
  const seen = corner.x >= left && corner.y >= top && end.x <= right && end.y <= bottom;
  const centre = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  if (!seen)
    void context.flow.setCenter(centre.x, centre.y, { duration: 200, zoom: Math.max(0.7, context.flow.getZoom()) });
  document.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(id)}"]`)?.focus({ preventScroll: true });
}

function distance(a: Point | null, b: Point | null): number {
  return a === null || b === null ? Number.POSITIVE_INFINITY : Math.hypot(a.x - b.x, (a.y - b.y) * 2);
}
