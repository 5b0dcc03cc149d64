/** Reroutes: points through which links are led. They change how a graph looks and nothing else. */

import { formatRef, type GraphName, graphOf, type PortRef, parseRef, type WorkflowDocument } from "./document";
import { own, put, without } from "./json";
import { freshName } from "./names";
import { type Point, type Reroute, reroutesOf, viaOf, withPart } from "./view";

/** Lead links that come from the output `from` to the inputs `to` through a point. */
export function addReroute(
  doc: WorkflowDocument,
  at: GraphName,
  id: string,
  place: Point,
  from: PortRef,
  to: readonly PortRef[],
): WorkflowDocument {
  const via = viaOf(doc, at);
  // A link that is led through a point already keeps it: the new point lies behind that one.
  const before = to.map((ref) => own(via, formatRef(ref))).find((found) => found !== undefined);
  const start = before === undefined ? formatRef(from) : `@${before}`;
  const point: Reroute = { x: Math.round(place.x), y: Math.round(place.y), from: start };
  const added = withPart(doc, at, "@reroutes", put(reroutesOf(doc, at), id, point));
  const led = Object.fromEntries(to.map((ref) => [formatRef(ref), id]));
  return withPart(added, at, "@via", { ...viaOf(added, at), ...led });
}

export function moveReroutes(doc: WorkflowDocument, at: GraphName, places: Readonly<Record<string, Point>>) {
  const all = reroutesOf(doc, at);
  const moved = Object.entries(places).flatMap(([id, to]) => {
    const point = own(all, id);
    const place = { x: Math.round(to.x), y: Math.round(to.y) };
    return point === undefined || (point.x === place.x && point.y === place.y) ? [] : [[id, { ...point, ...place }]];
  });
  return moved.length === 0 ? doc : withPart(doc, at, "@reroutes", { ...all, ...Object.fromEntries(moved) });
}

/** Take points away; links through them go straight, or through the point before. */
export function removeReroutes(doc: WorkflowDocument, at: GraphName, ids: Iterable<string>): WorkflowDocument {
  const gone = new Set(ids);
  const all = reroutesOf(doc, at);
  const next = (id: string): string => {
    const from = own(all, id)?.from ?? "";
    return gone.has(id) && from.startsWith("@") ? next(from.slice(1)) : id;
  };
  const kept = Object.entries(all).flatMap(([id, point]) => {
    if (gone.has(id)) return [];
    const before = point.from.startsWith("@") ? next(point.from.slice(1)) : null;
    if (before === null) return [[id, point] as const];
    const root = gone.has(before) ? (own(all, before)?.from ?? "") : `@${before}`;
    return [[id, { ...point, from: root }] as const];
  });
  const via = Object.entries(viaOf(doc, at)).flatMap(([target, id]) => {
    const point = next(id);
    return gone.has(point) ? [] : [[target, point]];
  });
  const cleared = withPart(doc, at, "@reroutes", Object.fromEntries(kept));
  return withPart(cleared, at, "@via", Object.fromEntries(via));
}

/** The output at the start of a reroute's chain; null when the chain leads nowhere. */
export function rerouteSource(doc: WorkflowDocument, at: GraphName, id: string): PortRef | null {
  const all = reroutesOf(doc, at);
  const seen = new Set<string>();
  let from = own(all, id)?.from;
  while (from?.startsWith("@")) {
    const before = from.slice(1);
    if (seen.has(before)) return null;
    seen.add(before);
    from = own(all, before)?.from;
  }
  return from === undefined ? null : parseRef(from);
}

/** Links that are led through points, as far as that still holds: input "node.port" -> the point before it. */
export function validVia(doc: WorkflowDocument, at: GraphName): Map<string, string> {
  const { nodes } = graphOf(doc, at);
  const entries = Object.entries(viaOf(doc, at)).filter(([target, id]) => {
    const to = parseRef(target);
    const source = rerouteSource(doc, at, id);
    return source !== null && own(own(nodes, to.node)?.links, to.port) === formatRef(source);
  });
  return new Map(entries);
}

/** The document in which these inputs are linked straight; points that lead nowhere any more go. */
export function forgetVia(doc: WorkflowDocument, at: GraphName, targets: readonly string[]): WorkflowDocument {
  const via = viaOf(doc, at);
  const kept = without(via, targets);
  return kept === via ? doc : pruneReroutes(withPart(doc, at, "@via", kept), at);
}

/** Lead one input's link through a point that exists. */
export function setVia(doc: WorkflowDocument, at: GraphName, target: PortRef, id: string): WorkflowDocument {
  return withPart(doc, at, "@via", put(viaOf(doc, at), formatRef(target), id));
}

export function freshReroute(doc: WorkflowDocument, at: GraphName): string {
  const all = reroutesOf(doc, at);
  return freshName("r1", (id) => own(all, id) !== undefined);
}

/** Removes points that no link passes, and links' memory of points that don't hold. */
export function pruneReroutes(doc: WorkflowDocument, at: GraphName): WorkflowDocument {
  const all = reroutesOf(doc, at);
  if (Object.keys(all).length === 0) return doc;
  const via = validVia(doc, at);
  const used = new Set<string>();
  for (const id of via.values()) {
    for (let point = id; point !== "" && !used.has(point); ) {
      used.add(point);
      const from = own(all, point)?.from ?? "";
      point = from.startsWith("@") ? from.slice(1) : "";
    }
  }
  const gone = Object.keys(all).filter((id) => !used.has(id));
  const cleared = gone.length === 0 ? doc : withPart(doc, at, "@reroutes", without(all, gone));
  return via.size === Object.keys(viaOf(doc, at)).length
    ? cleared
    : withPart(cleared, at, "@via", Object.fromEntries(via));
}
