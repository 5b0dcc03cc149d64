/** Edits of single nodes: adding, removing, renaming, typing in, muting. Each gives a changed document. */

import type { Catalog } from "./catalog";
import {
  formatRef,
  type GraphName,
  graphOf,
  type Mode,
  NODE_ID,
  type NodeEntry,
  parseRef,
  subgraphName,
  type Targets,
  targetsOf,
  type WorkflowDocument,
  withGraph,
  withNode,
} from "./document";
import { dropPorts, withoutNodes } from "./exposed";
import { own, put } from "./json";
import { freshName, stemOf } from "./names";
import { pruneReroutes } from "./reroute";
import { forgetNodes, looksOf, type Point, placeNodes, positionOf, reroutesOf, setLook, viaOf, withPart } from "./view";

/** A free id for a node of this type. */
export function freshNodeId(doc: WorkflowDocument, at: GraphName, type: string): string {
  const { nodes } = graphOf(doc, at);
  return freshName(stemOf(type), (id) => own(nodes, id) !== undefined);
}

/** A node of a type as it is at first: nothing typed in, the version that is installed. */
export function newNode(catalog: Catalog, type: string): NodeEntry {
  const version = own(catalog.nodes, type)?.version;
  return version === undefined ? { type } : { type, version };
}

export function addNode(
  doc: WorkflowDocument,
  at: GraphName,
  id: string,
  node: NodeEntry,
  place?: Point,
): WorkflowDocument {
  const added = withGraph(doc, at, { nodes: put(graphOf(doc, at).nodes, id, node) });
  return place === undefined ? added : placeNodes(added, at, { [id]: place });
}

/** Remove nodes, with links from them, what they exposed, and what the view says of them. */
export function removeNodes(doc: WorkflowDocument, at: GraphName, ids: Iterable<string>): WorkflowDocument {
  const { nodes } = graphOf(doc, at);
  const gone = new Set([...ids].filter((id) => own(nodes, id) !== undefined));
  if (gone.size === 0) return doc;
  const before = graphOf(doc, at);
  const { graph, inputs, outputs } = withoutNodes(before, gone);
  const removed = withGraph(doc, at, graph);
  const told = at === null ? removed : dropPorts(removed, at, inputs, outputs);
  return pruneReroutes(forgetNodes(told, at, gone), at);
}

/** What people call the node; an empty label is none. */
export function setLabel(doc: WorkflowDocument, at: GraphName, id: string, label: string): WorkflowDocument {
  return withNode(doc, at, id, (node) => {
    const { label: before, ...rest } = node;
    if ((before ?? "") === label.trim()) return node;
    return label.trim() === "" ? rest : { ...rest, label: label.trim() };
  });
}

/** Mute or bypass nodes, or undo that with null. */
export function setMode(doc: WorkflowDocument, at: GraphName, ids: Iterable<string>, mode: Mode | null) {
  let changed = doc;
  for (const id of ids) {
    changed = withNode(changed, at, id, (node) => {
      const { mode: before, ...rest } = node;
      if ((before ?? null) === mode) return node;
      return mode === null ? rest : { ...rest, mode };
    });
  }
  return changed;
}

/** Mute or bypass nodes if not all of them are, else undo it. */
export function toggleMode(doc: WorkflowDocument, at: GraphName, ids: readonly string[], mode: Mode) {
  const { nodes } = graphOf(doc, at);
  const all = ids.every((id) => own(nodes, id)?.mode === mode);
  return setMode(doc, at, ids, all ? null : mode);
}

/** Why a node can't be called `id`; null when it can. */
export function idProblem(doc: WorkflowDocument, at: GraphName, id: string): string | null {
  if (!NODE_ID.test(id)) return "An id has 1 to 64 letters, digits, `_` and `-`, and does not start with `-`.";
  return own(graphOf(doc, at).nodes, id) === undefined ? null : `There is a node \`${id}\` already.`;
}

/** Give a node another id; links, exposed ports and its place follow. */
export function renameNode(doc: WorkflowDocument, at: GraphName, from: string, to: string): WorkflowDocument {
  const graph = graphOf(doc, at);
  if (own(graph.nodes, from) === undefined || idProblem(doc, at, to) !== null) return doc;
  const moved = (text: string) => {
    const ref = parseRef(text);
    return ref.node === from ? formatRef({ node: to, port: ref.port }) : text;
  };
  const nodes = mapEntries(graph.nodes, (id, node) => [id === from ? to : id, relinked(node, moved)]);
  const inputs = graph.inputs && mapEntries(graph.inputs, (name, targets) => [name, mapTargets(targets, moved)]);
  const outputs = graph.outputs && mapEntries(graph.outputs, (name, source) => [name, moved(source)]);
  const renamed = withGraph(doc, at, { nodes, ...(inputs && { inputs }), ...(outputs && { outputs }) });
  return carryView(renamed, at, from, to, moved);
}

/** Change every reference in a node's links. */
export function relinked(node: NodeEntry, change: (ref: string) => string): NodeEntry {
  const links = node.links;
  if (links === undefined || Object.values(links).every((ref) => change(ref) === ref)) return node;
  return { ...node, links: mapEntries(links, (port, ref) => [port, change(ref)]) };
}

export function mapTargets(targets: Targets, change: (ref: string) => string): Targets {
  return typeof targets === "string" ? change(targets) : targetsOf(targets).map(change);
}

export function mapEntries<T, U>(
  record: Readonly<Record<string, T>>,
  change: (key: string, value: T) => readonly [string, U],
): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => change(key, value)));
}

/** The subgraph that a node stands for, if the file has it. */
export function subgraphOf(doc: WorkflowDocument, node: NodeEntry): string | null {
  const name = subgraphName(node.type);
  return name !== null && own(doc.graphs, name) !== undefined ? name : null;
}

function carryView(
  doc: WorkflowDocument,
  at: GraphName,
  from: string,
  to: string,
  moved: (ref: string) => string,
): WorkflowDocument {
  const place = positionOf(doc, at, from);
  const look = own(looksOf(doc, at), from);
  let carried = forgetNodes(doc, at, [from]);
  if (place !== undefined) carried = placeNodes(carried, at, { [to]: place });
  if (look !== undefined) carried = setLook(carried, at, to, look);
  const via = mapEntries(viaOf(carried, at), (target, id) => [moved(target), id]);
  carried = withPart(carried, at, "@via", via);
  return renameReroutes(carried, at, moved);
}

function renameReroutes(doc: WorkflowDocument, at: GraphName, moved: (ref: string) => string): WorkflowDocument {
  const points = reroutesOf(doc, at);
  return withPart(
    doc,
    at,
    "@reroutes",
    mapEntries(points, (id, point) => [
      id,
      { ...point, from: point.from.startsWith("@") ? point.from : moved(point.from) },
    ]),
  );
}
