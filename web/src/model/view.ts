/**
 * The `view` of a workflow: where things lie and how they look. It is never part of a result's key.
 *
 * Positions stand under the node's id; what has no node stands under names that no id can have ("@groups"). What belongs
 * to a subgraph has that subgraph's place before its name: "graph:NAME/id".
 */

import { GRAPH_PREFIX, type GraphName, type WorkflowDocument } from "./document";
import { type Dict, type Json, own, without } from "./json";

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

/** How a node looks, where that differs from what its type says. */
export interface Look {
  readonly color?: string;
  readonly width?: number;
  /** All ports are shown, also those that keep their default. */
  readonly open?: boolean;
  /** Only the title is shown. */
  readonly folded?: boolean;
}

export interface Group extends Box {
  readonly title: string;
  readonly color?: string;
}

export interface Comment extends Box {
  readonly text: string;
  readonly color?: string;
}

/** A point through which links of one output are led. `from` is the output, or another reroute ("@id"). */
export interface Reroute extends Point {
  readonly from: string;
}

type Part = "@looks" | "@groups" | "@comments" | "@reroutes" | "@via";

/** The name in `view` of something in a graph. */
export function viewKey(at: GraphName, name: string): string {
  return at === null ? name : `${GRAPH_PREFIX}${at}/${name}`;
}

/** Where a node lies; undefined when nobody placed it. */
export function positionOf(doc: WorkflowDocument, at: GraphName, id: string): Point | undefined {
  const found = own(doc.view, viewKey(at, id));
  if (!Array.isArray(found)) return undefined;
  const [x, y] = found as readonly Json[];
  return finite(x) && finite(y) ? { x, y } : undefined;
}

/** Move nodes; positions are whole pixels, so that files stay readable. */
export function placeNodes(doc: WorkflowDocument, at: GraphName, places: Dict<Point>): WorkflowDocument {
  const moved = Object.entries(places).filter(([id, to]) => {
    const from = positionOf(doc, at, id);
    return from === undefined || from.x !== Math.round(to.x) || from.y !== Math.round(to.y);
  });
  if (moved.length === 0) return doc;
  const entries = moved.map(([id, to]) => [viewKey(at, id), [Math.round(to.x), Math.round(to.y)]] as const);
  return withView(doc, { ...doc.view, ...Object.fromEntries(entries) });
}

export function looksOf(doc: WorkflowDocument, at: GraphName): Dict<Look> {
  return part(doc, at, "@looks", (found) => found as Look);
}

export function groupsOf(doc: WorkflowDocument, at: GraphName): Dict<Group> {
  return part(doc, at, "@groups", (found) => (isBox(found) ? { ...found, title: text(found["title"]) } : null));
}

export function commentsOf(doc: WorkflowDocument, at: GraphName): Dict<Comment> {
  return part(doc, at, "@comments", (found) => (isBox(found) ? { ...found, text: text(found["text"]) } : null));
}

export function reroutesOf(doc: WorkflowDocument, at: GraphName): Dict<Reroute> {
  const read = (found: Dict<Json>) => {
    const { x, y, from } = found;
    return finite(x) && finite(y) && typeof from === "string" ? { x, y, from } : null;
  };
  return part(doc, at, "@reroutes", read);
}

/** The reroute that leads to an input, by "node.port". */
export function viaOf(doc: WorkflowDocument, at: GraphName): Dict<string> {
  const found = own(doc.view, viewKey(at, "@via"));
  if (!isRecord(found)) return {};
  return Object.fromEntries(Object.entries(found).filter(([, id]) => typeof id === "string")) as Dict<string>;
}

/** The document with a whole part of the view replaced; an empty part is left out. */
export function withPart(doc: WorkflowDocument, at: GraphName, name: Part, value: Dict<unknown>): WorkflowDocument {
  const key = viewKey(at, name);
  if (Object.keys(value).length > 0) return withView(doc, { ...doc.view, [key]: value as Json });
  return own(doc.view, key) === undefined ? doc : withView(doc, without(doc.view ?? {}, [key]));
}

/** The document with a node's look changed; undefined takes a field away. */
export function setLook(
  doc: WorkflowDocument,
  at: GraphName,
  id: string,
  change: { readonly [K in keyof Look]?: Look[K] | undefined },
): WorkflowDocument {
  const looks = looksOf(doc, at);
  const merged = Object.entries({ ...own(looks, id), ...change }).filter(([, value]) => value !== undefined);
  const { [id]: _, ...others } = looks;
  return withPart(doc, at, "@looks", merged.length > 0 ? { ...others, [id]: Object.fromEntries(merged) } : others);
}

/** The document without the positions and looks of nodes that are gone. */
export function forgetNodes(doc: WorkflowDocument, at: GraphName, ids: Iterable<string>): WorkflowDocument {
  const gone = [...ids];
  const view = doc.view ?? {};
  const places = without(
    view,
    gone.map((id) => viewKey(at, id)),
  );
  const placed = places === view ? doc : withView(doc, places);
  const looks = looksOf(placed, at);
  const kept = without(looks, gone);
  return kept === looks ? placed : withPart(placed, at, "@looks", kept);
}

/** The smallest box around boxes; null for none. */
export function around(boxes: readonly Box[], margin = 0): Box | null {
  if (boxes.length === 0) return null;
  const x = Math.min(...boxes.map((box) => box.x)) - margin;
  const y = Math.min(...boxes.map((box) => box.y)) - margin;
  const right = Math.max(...boxes.map((box) => box.x + box.width)) + margin;
  const bottom = Math.max(...boxes.map((box) => box.y + box.height)) + margin;
  return { x, y, width: right - x, height: bottom - y };
}

export function withView(doc: WorkflowDocument, view: Dict<Json>): WorkflowDocument {
  return { ...doc, view };
}

function part<T>(doc: WorkflowDocument, at: GraphName, name: Part, read: (found: Dict<Json>) => T | null): Dict<T> {
  const found = own(doc.view, viewKey(at, name));
  if (!isRecord(found)) return {};
  // A file may have been written by anything: entries that don't fit are left alone and not shown.
  return Object.fromEntries(
    Object.entries(found).flatMap(([id, entry]) => {
      const value = isRecord(entry) ? read(entry) : null;
      return value === null ? [] : [[id, value]];
    }),
  );
}

function isRecord(found: unknown): found is Dict<Json> {
  return typeof found === "object" && found !== null && !Array.isArray(found);
}

function isBox(found: Dict<Json>): found is Dict<Json> & Box {
  return finite(found["x"]) && finite(found["y"]) && finite(found["width"]) && finite(found["height"]);
}

function finite(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
