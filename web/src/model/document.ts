/** The workflow file `sdgraph/workflow@1` as immutable data. Fields that this editor does not know travel along. */

import { type Dict, type Json, own, put, without } from "./json";

export const SCHEMA = "sdgraph/workflow@1";
export const GRAPH_PREFIX = "graph:";
export const NODE_ID = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$/;

export type Mode = "mute" | "bypass";

/** A node: its type, typed-in values by port, and links ("node.port") by port. */
export interface NodeEntry {
  readonly type: string;
  readonly version?: number | null;
  readonly values?: Dict<Json>;
  readonly links?: Dict<string>;
  readonly label?: string | null;
  readonly mode?: Mode | null;
}

/** Ports that one input feeds: "node.port", or several. */
export type Targets = string | readonly string[];

/** Nodes with named inputs and outputs: a subgraph, and the core of a workflow. */
export interface GraphEntry {
  readonly nodes: Dict<NodeEntry>;
  readonly inputs?: Dict<Targets>;
  readonly outputs?: Dict<string>;
}

export interface WorkflowDocument extends GraphEntry {
  readonly schema: typeof SCHEMA;
  readonly name?: string;
  readonly description?: string;
  readonly graphs?: Dict<GraphEntry>;
  readonly view?: Dict<Json>;
}

/** Which graph of a document is meant: the name of a subgraph, or null for the workflow itself. */
export type GraphName = string | null;

/** A port of a node in a graph. */
export interface PortRef {
  readonly node: string;
  readonly port: string;
}

/** "node.port" as a pair; without a dot the port is "", which no node has. */
export function parseRef(text: string): PortRef {
  const dot = text.lastIndexOf(".");
  return dot < 0 ? { node: text, port: "" } : { node: text.slice(0, dot), port: text.slice(dot + 1) };
}

export function formatRef(ref: PortRef): string {
  return `${ref.node}.${ref.port}`;
}

export function targetsOf(targets: Targets): readonly string[] {
  return typeof targets === "string" ? [targets] : targets;
}

/** An empty workflow. */
export function emptyDocument(name = ""): WorkflowDocument {
  return { schema: SCHEMA, name, nodes: {} };
}

/** A graph of the document; an unknown name reads as an empty graph. */
export function graphOf(doc: WorkflowDocument, at: GraphName): GraphEntry {
  return at === null ? doc : (own(doc.graphs, at) ?? { nodes: {} });
}

/** The document with one of its graphs changed. Parts that became empty are left out. */
export function withGraph(doc: WorkflowDocument, at: GraphName, change: Partial<GraphEntry>): WorkflowDocument {
  if (at === null) return { ...doc, ...change };
  return { ...doc, graphs: put(doc.graphs, at, { ...graphOf(doc, at), ...change }) };
}

/** The document with one node changed, or as it is when there is no such node. */
export function withNode(
  doc: WorkflowDocument,
  at: GraphName,
  id: string,
  change: (node: NodeEntry) => NodeEntry,
): WorkflowDocument {
  const { nodes } = graphOf(doc, at);
  const node = own(nodes, id);
  if (node === undefined) return doc;
  const changed = change(node);
  return changed === node ? doc : withGraph(doc, at, { nodes: put(nodes, id, changed) });
}

/** Whether a node stands for a subgraph of this file, and for which. */
export function subgraphName(type: string): string | null {
  return type.startsWith(GRAPH_PREFIX) && !type.endsWith(".json") ? type.slice(GRAPH_PREFIX.length) : null;
}

/** The name of the open graph: the last of the path. */
export function openGraphName(path: readonly string[]): GraphName {
  return path.at(-1) ?? null;
}

/** A node without its links to lost outputs. */
export function unlinked(node: NodeEntry, lost: (ref: string) => boolean): NodeEntry {
  const gone = Object.entries(node.links ?? {}).filter(([, ref]) => lost(ref));
  if (gone.length === 0) return node;
  const { links, ...rest } = node;
  const left = without(
    links ?? {},
    gone.map(([port]) => port),
  );
  return Object.keys(left).length > 0 ? { ...rest, links: left } : rest;
}
