/** What follows from a graph as a whole: every node's ports, the types of generic outputs, who reads whom. */

import type { Catalog, InputPort } from "./catalog";
import { formatRef, type GraphName, graphOf, type PortRef, parseRef, type WorkflowDocument } from "./document";
import { own } from "./json";
import { type NodePorts, portsOf } from "./ports";
import { ANY, accepts, typeOfValue } from "./porttypes";

export interface GraphInfo {
  readonly ports: ReadonlyMap<string, NodePorts>;
  /** Ids of the nodes that each node reads. */
  readonly sources: ReadonlyMap<string, ReadonlySet<string>>;
  /** Ids of the nodes that read each node. */
  readonly readers: ReadonlyMap<string, ReadonlySet<string>>;
  /** Type names of generic nodes' outputs, by node. */
  readonly generic: ReadonlyMap<string, string>;
}

const known = new WeakMap<Catalog, WeakMap<WorkflowDocument, Map<GraphName, GraphInfo>>>();

/** The graph looked at as a whole; remembered for as long as the document lives. */
export function inspect(catalog: Catalog, doc: WorkflowDocument, at: GraphName): GraphInfo {
  const ofCatalog = known.get(catalog) ?? new WeakMap<WorkflowDocument, Map<GraphName, GraphInfo>>();
  const ofDocument = ofCatalog.get(doc) ?? new Map<GraphName, GraphInfo>();
  const info = ofDocument.get(at) ?? look(catalog, doc, at);
  known.set(catalog, ofCatalog.set(doc, ofDocument.set(at, info)));
  return info;
}

/** The type of an output, generic ones resolved; null when there is no such output. */
export function outputType(info: GraphInfo, ref: PortRef): string | null {
  const output = info.ports.get(ref.node)?.outputs.find((port) => port.name === ref.port);
  if (output === undefined) return null;
  return output.type === ANY ? (info.generic.get(ref.node) ?? ANY) : output.type;
}

export function inputPort(info: GraphInfo, ref: PortRef): InputPort | null {
  return info.ports.get(ref.node)?.inputs.find((port) => port.name === ref.port) ?? null;
}

/** Every node that can be reached from `start` along `next`, itself included. */
export function reach(next: ReadonlyMap<string, ReadonlySet<string>>, start: Iterable<string>): Set<string> {
  const found = new Set(start);
  for (const id of found) for (const other of next.get(id) ?? []) found.add(other); // a Set grows while it is walked
  return found;
}

/** Nodes in an order in which links point backwards; nodes in a circle come last. */
export function topological(info: GraphInfo): string[] {
  const waits = new Map([...info.sources].map(([id, sources]) => [id, sources.size]));
  const order = [...waits].filter(([, count]) => count === 0).map(([id]) => id);
  for (const id of order) {
    for (const reader of info.readers.get(id) ?? []) {
      const count = (waits.get(reader) ?? 0) - 1;
      waits.set(reader, count);
      if (count === 0) order.push(reader);
    }
  }
  const placed = new Set(order);
  return [...order, ...[...waits.keys()].filter((id) => !placed.has(id))];
}

function look(catalog: Catalog, doc: WorkflowDocument, at: GraphName): GraphInfo {
  const { nodes } = graphOf(doc, at);
  const ids = Object.keys(nodes);
  const ports = new Map(ids.map((id) => [id, portsOf(catalog, doc, at, id)]));
  const sources = new Map(ids.map((id) => [id, new Set<string>()]));
  const readers = new Map(ids.map((id) => [id, new Set<string>()]));
  for (const [id, node] of Object.entries(nodes)) {
    for (const source of Object.values(node.links ?? {})) {
      const { node: from } = parseRef(source);
      if (!readers.has(from)) continue;
      sources.get(id)?.add(from);
      readers.get(from)?.add(id);
    }
  }
  const info = { ports, sources, readers, generic: new Map<string, string>() };
  resolveGenerics(doc, at, info);
  return info;
}

function resolveGenerics(
  doc: WorkflowDocument,
  at: GraphName,
  info: GraphInfo & { generic: Map<string, string> },
): void {
  // Subgraphs and unknown types with an output of type Any say nothing of how it follows from their inputs.
  const isGeneric = (id: string) => {
    const ports = info.ports.get(id);
    return ports?.kind === "node" && ports.outputs.some((port) => port.type === ANY);
  };
  if (![...info.ports.keys()].some(isGeneric)) return;
  for (const id of topological(info)) if (isGeneric(id)) info.generic.set(id, joined(doc, at, info, id));
}

function joined(doc: WorkflowDocument, at: GraphName, info: GraphInfo, id: string): string {
  const node = own(graphOf(doc, at).nodes, id);
  let type = ANY;
  for (const port of info.ports.get(id)?.inputs ?? []) {
    if (port.type !== ANY) continue;
    const link = own(node?.links, port.name);
    const given = link === undefined ? typeOfValue(own(node?.values, port.name)) : outputType(info, parseRef(link));
    if (given === null || given === ANY) continue;
    if (type === ANY || accepts(given, type)) type = given;
  }
  return type;
}

/** The outputs of a graph that have a type which an input takes, as "node.port". */
export function fittingOutputs(info: GraphInfo, type: string): string[] {
  return [...info.ports].flatMap(([node, ports]) =>
    ports.outputs
      .map((port) => ({ node, port: port.name }))
      .filter((ref) => accepts(type, outputType(info, ref) ?? ""))
      .map(formatRef),
  );
}
