/** A graph of the document as nodes and edges of the canvas. Unchanged parts keep their identity, so that they are not drawn again. */

import type { Edge, Node } from "@xyflow/react";
import type { Catalog } from "../../model/catalog";
import {
  type GraphName,
  graphOf,
  type NodeEntry,
  type PortRef,
  parseRef,
  type WorkflowDocument,
} from "../../model/document";
import { type GraphInfo, inspect, outputType, topological } from "../../model/inspect";
import { own } from "../../model/json";
import type { NodePorts } from "../../model/ports";
import { validVia } from "../../model/reroute";
import {
  type Comment,
  commentsOf,
  type Group,
  groupsOf,
  type Look,
  looksOf,
  type Point,
  positionOf,
  reroutesOf,
} from "../../model/view";

export const NODE_WIDTH = 264;
/** Between columns of nodes: links can be told apart, and a usual workflow can be read as a whole. */
export const GAP_PX = 40;

export interface CardData extends Record<string, unknown> {
  readonly entry: NodeEntry;
  readonly ports: NodePorts;
  readonly look: Look;
  /** Names of the outputs that something reads, separated by spaces. */
  readonly read: string;
}

export type CardNode = Node<CardData, "card">;
export type GroupNode = Node<{ group: Group }, "group_">;
export type CommentNode = Node<{ comment: Comment }, "comment">;
export type RerouteNode = Node<{ type: string }, "reroute">;
export type CanvasNode = CardNode | GroupNode | CommentNode | RerouteNode;

export interface WireData extends Record<string, unknown> {
  readonly type: string;
  readonly source: PortRef;
  /** The input at the end; null for a wire that ends at a reroute. */
  readonly target: PortRef | null;
}
export type Wire = Edge<WireData, "wire">;

export interface Flow {
  readonly nodes: readonly CanvasNode[];
  readonly wires: readonly Wire[];
}

export const NO_FLOW: Flow = { nodes: [], wires: [] };

export const outHandle = (port: string) => `out:${port}`;
export const inHandle = (port: string) => `in:${port}`;
export const groupId = (id: string) => `@group:${id}`;
export const commentId = (id: string) => `@comment:${id}`;
export const rerouteId = (id: string) => `@reroute:${id}`;

/** The part of a canvas id after its kind: "r1" of "@reroute:r1"; null for a node. */
export function partOf(id: string, kind: "group" | "comment" | "reroute"): string | null {
  const prefix = `@${kind}:`;
  return id.startsWith(prefix) ? id.slice(prefix.length) : null;
}

/** The canvas ids of a selection, by what they are. */
export function sortSelection(ids: Iterable<string>) {
  const all = [...ids];
  const of = (kind: "group" | "comment" | "reroute") => all.flatMap((id) => partOf(id, kind) ?? []);
  return {
    nodes: all.filter((id) => !id.startsWith("@")),
    groups: of("group"),
    comments: of("comment"),
    reroutes: of("reroute"),
  };
}

/** The canvas of a graph. `before` is what was shown last: what is equal is taken from it. */
export function flowOf(catalog: Catalog, doc: WorkflowDocument, at: GraphName, before: Flow): Flow {
  const info = inspect(catalog, doc, at);
  const last = new Map(before.nodes.map((node) => [node.id, node]));
  const nodes = [...frames(doc, at), ...cards(doc, at, info), ...reroutes(doc, at, info)];
  const lastWires = new Map(before.wires.map((wire) => [wire.id, wire]));
  return {
    nodes: sameList(
      before.nodes,
      nodes.map((node) => sameNode(last.get(node.id), node)),
    ),
    wires: sameList(
      before.wires,
      wiresOf(doc, at, info).map((wire) => sameWire(lastWires.get(wire.id), wire)),
    ),
  };
}

/** `before` when it has the same elements: whoever watches the list has nothing to do then. */
function sameList<Item>(before: readonly Item[], now: readonly Item[]): readonly Item[] {
  return before.length === now.length && now.every((item, at) => item === before[at]) ? before : now;
}

/** Places for nodes that have none: columns by depth, below what is placed. */
export function fallbackPlaces(info: GraphInfo, placed: (id: string) => Point | undefined): Map<string, Point> {
  const depth = new Map<string, number>();
  const rows = new Map<number, number>();
  const bottom = Math.max(-40, ...[...info.ports.keys()].map((id) => placed(id)?.y ?? Number.NEGATIVE_INFINITY)) + 40;
  const start = [...info.ports.keys()].some((id) => placed(id) !== undefined) ? bottom + 360 : 0;
  const places = new Map<string, Point>();
  for (const id of topological(info)) {
    const column = Math.max(-1, ...[...(info.sources.get(id) ?? [])].map((source) => depth.get(source) ?? -1)) + 1;
    depth.set(id, column);
    if (placed(id) !== undefined) continue;
    const row = rows.get(column) ?? 0;
    rows.set(column, row + 1);
    places.set(id, { x: column * (NODE_WIDTH + GAP_PX), y: start + row * 260 });
  }
  return places;
}

function cards(doc: WorkflowDocument, at: GraphName, info: GraphInfo): CardNode[] {
  const graph = graphOf(doc, at);
  const looks = looksOf(doc, at);
  const read = readOutputs(doc, at);
  const placed = (id: string) => positionOf(doc, at, id);
  const missing = Object.keys(graph.nodes).some((id) => placed(id) === undefined);
  const fallback = missing ? fallbackPlaces(info, placed) : new Map<string, Point>();
  return Object.entries(graph.nodes).map(([id, entry]) => {
    const ports = info.ports.get(id) as NodePorts;
    const look = own(looks, id) ?? NO_LOOK;
    const width = look.width ?? NODE_WIDTH;
    return {
      id,
      type: "card" as const,
      position: placed(id) ?? fallback.get(id) ?? { x: 0, y: 0 },
      data: { entry, ports, look, read: read.get(id) ?? "" },
      style: { width },
      ariaLabel: `${entry.label || ports.title}, ${id}`,
    };
  });
}

const NO_LOOK: Look = {};

function readOutputs(doc: WorkflowDocument, at: GraphName): Map<string, string> {
  const read = new Map<string, Set<string>>();
  for (const node of Object.values(graphOf(doc, at).nodes))
    for (const ref of Object.values(node.links ?? {}).map(parseRef))
      read.set(ref.node, (read.get(ref.node) ?? new Set()).add(ref.port));
  return new Map([...read].map(([id, ports]) => [id, [...ports].sort().join(" ")]));
}

function frames(doc: WorkflowDocument, at: GraphName): CanvasNode[] {
  const groups = Object.entries(groupsOf(doc, at)).map(([id, group]): GroupNode => {
    const { x, y, width, height } = group;
    const shape = { position: { x, y }, width, height, zIndex: -1000 };
    return { id: groupId(id), type: "group_", ...shape, data: { group }, ariaLabel: `Group ${group.title}` };
  });
  const comments = Object.entries(commentsOf(doc, at)).map(([id, comment]): CommentNode => {
    const { x, y, width, height } = comment;
    const shape = { position: { x, y }, width, height, zIndex: -500 };
    return { id: commentId(id), type: "comment", ...shape, data: { comment }, ariaLabel: "Comment" };
  });
  return [...groups, ...comments];
}

function reroutes(doc: WorkflowDocument, at: GraphName, info: GraphInfo): RerouteNode[] {
  const all = reroutesOf(doc, at);
  return Object.entries(all).map(([id, point]) => {
    const root = rootOf(all, id);
    const type = (root && outputType(info, root)) ?? "Any";
    return {
      id: rerouteId(id),
      type: "reroute",
      position: { x: point.x, y: point.y },
      data: { type },
      ariaLabel: "Reroute",
    };
  });
}

function rootOf(all: Readonly<Record<string, { from: string }>>, id: string): PortRef | null {
  let from = own(all, id)?.from;
  for (let count = 0; from?.startsWith("@"); count++) {
    if (count > 100) return null;
    from = own(all, from.slice(1))?.from;
  }
  return from === undefined ? null : parseRef(from);
}

function wiresOf(doc: WorkflowDocument, at: GraphName, info: GraphInfo): Wire[] {
  const { nodes } = graphOf(doc, at);
  const via = validVia(doc, at);
  const links = Object.entries(nodes).flatMap(([node, entry]) =>
    Object.entries(entry.links ?? {}).flatMap(([port, text]) => {
      const source = parseRef(text);
      if (own(nodes, source.node) === undefined) return [];
      const target = { node, port };
      const id = `${node}.${port}`;
      const point = via.get(id);
      const start = point === undefined ? outEnd(source) : { source: rerouteId(point), sourceHandle: "out" };
      return [wire(id, start, { target: node, targetHandle: inHandle(port) }, info, source, target)];
    }),
  );
  const all = reroutesOf(doc, at);
  const used = new Set(via.values());
  const chains = Object.entries(all).flatMap(([id, point]) => {
    const root = rootOf(all, id);
    if (root === null || own(nodes, root.node) === undefined) return [];
    if (point.from.startsWith("@")) used.add(point.from.slice(1));
    const start = point.from.startsWith("@")
      ? { source: rerouteId(point.from.slice(1)), sourceHandle: "out" }
      : outEnd(root);
    return [wire(rerouteId(id), start, { target: rerouteId(id), targetHandle: "in" }, info, root, null)];
  });
  return [...links, ...chains];
}

function outEnd(source: PortRef) {
  return { source: source.node, sourceHandle: outHandle(source.port) };
}

function wire(
  id: string,
  start: { source: string; sourceHandle: string },
  end: { target: string; targetHandle: string },
  info: GraphInfo,
  source: PortRef,
  target: PortRef | null,
): Wire {
  const type = outputType(info, source) ?? "Any";
  const label =
    target === null
      ? `Link from ${source.node}`
      : `Link from ${source.node} ${source.port} to ${target.node} ${target.port}`;
  return { id, type: "wire", ...start, ...end, data: { type, source, target }, ariaLabel: label };
}

function sameNode(before: CanvasNode | undefined, now: CanvasNode): CanvasNode {
  if (before === undefined || before.type !== now.type) return now;
  if (before.position.x !== now.position.x || before.position.y !== now.position.y) {
    return sameData(before.data, now.data) ? ({ ...now, data: before.data } as CanvasNode) : now;
  }
  if (before.width !== now.width || before.height !== now.height) return now;
  if (before.style?.width !== now.style?.width || before.ariaLabel !== now.ariaLabel) return now;
  return sameData(before.data, now.data) ? before : now;
}

function sameWire(before: Wire | undefined, now: Wire): Wire {
  const ends: readonly (keyof Wire)[] = ["source", "sourceHandle", "target", "targetHandle"];
  const same =
    before !== undefined && ends.every((end) => before[end] === now[end]) && before.data?.type === now.data?.type;
  return same ? before : now;
}

/** Whether two objects have the same fields; what `inspect` and the document give is compared by identity. */
function sameData(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(b).every((key) => a[key] === b[key] || (key === "ports" && samePorts(a[key], b[key])));
}

function samePorts(a: unknown, b: unknown): boolean {
  const [before, now] = [a as NodePorts, b as NodePorts];
  if (before.kind !== now.kind || before.title !== now.title || before.kind === "node") return before === now;
  return JSON.stringify(before) === JSON.stringify(now);
}
