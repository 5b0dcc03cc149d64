/** New nodes: on the canvas, at the end of a link that is drawn, or into a link. */

import { canConnect, connect } from "../../model/connect";
import type { PortRef } from "../../model/document";
import { inserted } from "../../model/insert";
import { own } from "../../model/json";
import { addNode, freshNodeId, newNode } from "../../model/nodes";
import { portsOfSubgraph, portsOfType } from "../../model/ports";
import { accepts } from "../../model/porttypes";
import type { Point } from "../../model/view";
import { type CanvasContext, GRID_PX, now, snapped } from "./context";
import { NODE_WIDTH, type Wire } from "./flow";
import type { OpenEnd } from "./ui";

/** Add a node; drawn from a port, it is connected to it. Returns its id. */
export function add(context: CanvasContext, type: string, place: Point, end?: OpenEnd): string {
  const { state, doc, at } = now(context);
  const id = freshNodeId(doc, at, type);
  const left = end?.side === "input" ? place.x - NODE_WIDTH : place.x;
  const entry = newNode(state.catalog, type);
  const added = addNode(doc, at, id, entry, beside(context, { x: snapped(left), y: snapped(place.y - 20) }));
  const link = end === undefined ? null : fittingLink(context, type, id, end);
  const linked = link !== null && canConnect(state.catalog, added, at, link.from, link.to).ok;
  state.apply(() => (linked && link !== null ? connect(added, at, link.from, link.to) : added), { label: "Add node" });
  state.select([id]);
  return id;
}

/** How far new nodes step aside, and how near to a corner is on it. */
const STEP_PX = 4 * GRID_PX;

/** A place at which a node's title lies on no other title: several that are added in a row lie as a fan. */
function beside(context: CanvasContext, place: Point): Point {
  const near = ({ position }: { readonly position: Point }) =>
    Math.abs(position.x - place.x) < STEP_PX && Math.abs(position.y - place.y) < STEP_PX;
  const taken = context.flow.getNodes().some(near);
  return taken ? beside(context, { x: place.x + STEP_PX, y: place.y + STEP_PX }) : place;
}

/** The document with a new node in a link; null where its types don't permit that. */
function withInserted(context: CanvasContext, type: string, place: Point, wire: Wire) {
  const { state, doc, at } = now(context);
  const { source, target } = wire.data ?? {};
  if (source === undefined || !target) return null;
  const id = freshNodeId(doc, at, type);
  const corner = { x: snapped(place.x), y: snapped(place.y - 20) };
  const found = inserted(state.catalog, addNode(doc, at, id, newNode(state.catalog, type), corner), at, id, {
    source,
    target,
  });
  return found === null ? null : { id, doc: found };
}

/** Whether a node of a type could be put into a link. */
export function fitsInto(context: CanvasContext, type: string, wire: Wire): boolean {
  return withInserted(context, type, { x: 0, y: 0 }, wire) !== null;
}

/** Add a node into a link, as one step of undo; false where it does not fit. */
export function addInto(context: CanvasContext, type: string, place: Point, wire: Wire): boolean {
  const { state } = now(context);
  const found = withInserted(context, type, place, wire);
  if (found === null) return false;
  state.apply(() => found.doc, { label: "Insert node" });
  state.select([found.id]);
  return true;
}

/** The first ports of a type of node through which it can be connected to an open end. */
function fittingLink(context: CanvasContext, type: string, id: string, end: OpenEnd) {
  const { state, doc } = now(context);
  const found = own(state.catalog.nodes, type);
  const ports = found ? portsOfType(found) : portsOfSubgraph(state.catalog, doc, type.replace("graph:", ""));
  const there: PortRef = { node: end.node, port: end.port };
  if (end.side === "output") {
    const input = bestOf(ports.inputs, (port) => accepts(port.type, end.type), end.type);
    return input === undefined ? null : { from: there, to: { node: id, port: input.name } };
  }
  const output = bestOf(ports.outputs, (port) => accepts(end.type, port.type), end.type);
  return output === undefined ? null : { from: { node: id, port: output.name }, to: there };
}

/** The port of the very type goes before one that takes anything. */
function bestOf<T extends { type: string }>(
  ports: readonly T[],
  fits: (port: T) => boolean,
  type: string,
): T | undefined {
  return ports.find((port) => port.type === type) ?? ports.find(fits);
}
