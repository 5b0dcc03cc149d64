/** Collapsing a selection into a subgraph, and putting a subgraph's nodes back in its place. */

import type { Catalog } from "./catalog";
import {
  formatRef,
  GRAPH_PREFIX,
  type GraphEntry,
  type GraphName,
  graphOf,
  type NodeEntry,
  type PortRef,
  parseRef,
  type Targets,
  targetsOf,
  unlinked,
  type WorkflowDocument,
  withGraph,
} from "./document";
import { exposedAs } from "./exposed";
import { inspect, reach } from "./inspect";
import { type Dict, type Json, own, put, without } from "./json";
import { freshName } from "./names";
import { mapEntries, relinked, subgraphOf } from "./nodes";
import { pruneReroutes } from "./reroute";
import { forgetNodes, type Point, placeNodes, positionOf } from "./view";

/** Why nodes can't become one; null when they can. */
export function collapseProblem(
  catalog: Catalog,
  doc: WorkflowDocument,
  at: GraphName,
  ids: Iterable<string>,
): string | null {
  const inside = new Set(ids);
  if (inside.size === 0) return "Select the nodes that shall become a subgraph.";
  const info = inspect(catalog, doc, at);
  const outside = [...reach(info.readers, inside)].filter((id) => !inside.has(id));
  const returning = outside.find((id) => [...(info.readers.get(id) ?? [])].some((reader) => inside.has(reader)));
  if (returning === undefined) return null;
  return `\`${returning}\` lies between the selected nodes: it reads one of them and feeds another. Select it too.`;
}

/** A free name for a subgraph. */
export function freshGraphName(doc: WorkflowDocument, base = "subgraph"): string {
  return freshName(base, (name) => own(doc.graphs, name) !== undefined);
}

/**
 * Make nodes a subgraph `name`, used by one node `id` in their place. What came from outside becomes its inputs, what
 * others read its outputs. Ports that the graph exposes stay exposed, through the subgraph.
 */
export function collapse(
  doc: WorkflowDocument,
  at: GraphName,
  ids: Iterable<string>,
  name: string,
  id: string,
): WorkflowDocument {
  const graph = graphOf(doc, at);
  const inside = new Set([...ids].filter((node) => own(graph.nodes, node) !== undefined));
  if (inside.size === 0 || own(doc.graphs, name) !== undefined) return doc;
  const inputs = boundaryInputs(graph, inside);
  const outputs = boundaryOutputs(graph, inside);
  const through = (ref: string) => (inside.has(parseRef(ref).node) ? `${id}.${outputs.get(ref)}` : ref);
  const nodes = mapEntries(without(graph.nodes, inside), (other, node) => [other, relinked(node, through)]);
  const use: NodeEntry = { type: GRAPH_PREFIX + name, ...linksOf(inputs) };
  const outer: Partial<GraphEntry> = {
    nodes: put(nodes, id, use),
    ...(graph.inputs && { inputs: mapEntries(graph.inputs, (given, to) => [given, viaUse(to, inputs, id)]) }),
    ...(graph.outputs && { outputs: mapEntries(graph.outputs, (given, from) => [given, through(from)]) }),
  };
  const inner: GraphEntry = {
    nodes: mapEntries(pick(graph.nodes, inside), (node, entry) => [
      node,
      unlinked(entry, (ref) => !inside.has(parseRef(ref).node)),
    ]),
    inputs: mapEntries(Object.fromEntries(inputs), (given, found) => [given, shortest(found.targets)]),
    outputs: Object.fromEntries([...outputs].map(([ref, given]) => [given, ref])),
  };
  const made = withGraph({ ...doc, graphs: put(doc.graphs, name, inner) }, at, outer);
  return pruneReroutes(movePlaces(made, at, [...inside], name, id), at);
}

/** Put a subgraph's nodes in the place of a node that uses it. The definition stays while something else uses it. */
export function expand(doc: WorkflowDocument, at: GraphName, id: string): WorkflowDocument {
  const graph = graphOf(doc, at);
  const use = own(graph.nodes, id);
  const name = use === undefined ? null : subgraphOf(doc, use);
  if (use === undefined || name === null || use.mode === "bypass") return doc;
  const inner = graphOf(doc, name);
  const others = without(graph.nodes, [id]);
  const renamed = freshIds(Object.keys(inner.nodes), (taken) => own(others, taken) !== undefined);
  const rename = (ref: string) => {
    const { node, port } = parseRef(ref);
    return formatRef({ node: renamed.get(node) ?? node, port });
  };
  const given = givenTo(inner, use);
  const placed = mapEntries(inner.nodes, (node, entry) => [
    renamed.get(node) ?? node,
    withGiven(relinked(entry, rename), given.get(node) ?? [], use),
  ]);
  const out = (ref: string): string => {
    const { node, port } = parseRef(ref);
    const source = node === id ? own(inner.outputs, port) : undefined;
    return source === undefined ? ref : rename(source);
  };
  const into = (targets: Targets): Targets =>
    shortest(
      targetsOf(targets).flatMap((ref) => {
        const { node, port } = parseRef(ref);
        return node === id ? targetsOf(own(inner.inputs, port) ?? []).map(rename) : [ref];
      }),
    );
  const nodes = { ...mapEntries(others, (other, node) => [other, relinked(node, out)]), ...placed };
  const outer: Partial<GraphEntry> = {
    nodes,
    ...(graph.inputs && { inputs: mapEntries(graph.inputs, (input, to) => [input, into(to)]) }),
    ...(graph.outputs && { outputs: mapEntries(graph.outputs, (output, from) => [output, out(from)]) }),
  };
  return pruneReroutes(restorePlaces(dropUnused(withGraph(doc, at, outer), name), doc, at, id, name, renamed), at);
}

/** Every graph in which a subgraph is used, itself included through others: what may not be put inside it. */
export function graphsUsing(doc: WorkflowDocument, name: string): ReadonlySet<string> {
  const users = new Set([name]);
  for (const used of users)
    for (const [other, graph] of Object.entries(doc.graphs ?? {}))
      if (Object.values(graph.nodes).some((node) => node.type === GRAPH_PREFIX + used)) users.add(other);
  return users;
}

interface Boundary {
  readonly targets: string[];
  /** What feeds it from outside; null when it is only exposed. */
  readonly source: string | null;
  /** The outer graph's input behind it; null when there is none. */
  readonly exposed: string | null;
}

/** The inputs that a selection needs: one for each outer source or exposed input, and the ports that it feeds. */
function boundaryInputs(graph: GraphEntry, inside: ReadonlySet<string>): Map<string, Boundary> {
  const found = new Map<string, Boundary & { port: string }>();
  for (const node of inside) {
    const entry = own(graph.nodes, node);
    for (const port of portsOf(graph, entry, node)) {
      const ref: PortRef = { node, port };
      const link = own(entry?.links, port);
      const source = link !== undefined && !inside.has(parseRef(link).node) ? link : null;
      const exposed = exposedAs(graph, ref);
      if (source === null && exposed === null) continue;
      // A port that is exposed, but fed from inside until somebody gives it a value, is alone: its link stays inside.
      const key = `${source} ${exposed} ${source === null && link !== undefined ? link : ""}`;
      const before = found.get(key);
      if (before === undefined) found.set(key, { targets: [formatRef(ref)], source, exposed, port: exposed ?? port });
      else before.targets.push(formatRef(ref));
    }
  }
  const named = new Map<string, Boundary>();
  for (const { port, ...boundary } of found.values())
    named.set(
      freshName(port, (name) => named.has(name)),
      boundary,
    );
  return named;
}

function portsOf(graph: GraphEntry, entry: NodeEntry | undefined, node: string): string[] {
  const exposed = Object.values(graph.inputs ?? {})
    .flatMap(targetsOf)
    .map(parseRef)
    .filter((ref) => ref.node === node)
    .map((ref) => ref.port);
  return [...new Set([...Object.keys(entry?.links ?? {}), ...exposed])];
}

/** The outputs that others read of a selection: "node.port" -> the output's name. */
function boundaryOutputs(graph: GraphEntry, inside: ReadonlySet<string>): Map<string, string> {
  const read = [
    ...Object.entries(graph.nodes)
      .filter(([node]) => !inside.has(node))
      .flatMap(([, entry]) => Object.values(entry.links ?? {})),
    ...Object.values(graph.outputs ?? {}),
  ].filter((ref) => inside.has(parseRef(ref).node));
  const named = new Map<string, string>();
  const taken = new Set<string>();
  for (const ref of new Set(read)) {
    const name = freshName(parseRef(ref).port, (given) => taken.has(given));
    taken.add(name);
    named.set(ref, name);
  }
  return named;
}

function linksOf(inputs: ReadonlyMap<string, Boundary>): { links?: Dict<string> } {
  const links = [...inputs].flatMap(([name, { source }]) => (source === null ? [] : [[name, source] as const]));
  return links.length > 0 ? { links: Object.fromEntries(links) } : {};
}

/** An exposed input's targets, with those inside replaced by the subgraph's ports that lead to them. */
function viaUse(targets: Targets, inputs: ReadonlyMap<string, Boundary>, id: string): Targets {
  const led = targetsOf(targets).map((target) => {
    const found = [...inputs].find(([, boundary]) => boundary.targets.includes(target));
    return found === undefined ? target : `${id}.${found[0]}`;
  });
  return shortest([...new Set(led)]);
}

/** What a use gives to each inner node: the inner port, and the use's port. */
function givenTo(inner: GraphEntry, use: NodeEntry): Map<string, [string, string][]> {
  const given = new Map<string, [string, string][]>();
  for (const [name, targets] of Object.entries(inner.inputs ?? {})) {
    if (own(use.values, name) === undefined && own(use.links, name) === undefined) continue;
    for (const { node, port } of targetsOf(targets).map(parseRef))
      given.set(node, [...(given.get(node) ?? []), [port, name]]);
  }
  return given;
}

function withGiven(node: NodeEntry, given: readonly [string, string][], use: NodeEntry): NodeEntry {
  let { values = {}, links = {}, ...rest }: NodeEntry & { values?: Dict<Json>; links?: Dict<string> } = node;
  for (const [port, name] of given) {
    const value = own(use.values, name);
    const link = own(use.links, name);
    values = value === undefined ? without(values, [port]) : put(values, port, value);
    links = link === undefined ? without(links, [port]) : put(links, port, link);
  }
  if (use.mode === "mute") rest = { ...rest, mode: "mute" };
  return {
    ...rest,
    ...(Object.keys(values).length > 0 ? { values } : {}),
    ...(Object.keys(links).length > 0 ? { links } : {}),
  };
}

function freshIds(ids: readonly string[], taken: (id: string) => boolean): Map<string, string> {
  const chosen = new Map<string, string>();
  const used = new Set<string>();
  for (const id of ids) {
    const fresh = freshName(id, (name) => taken(name) || used.has(name) || (name !== id && ids.includes(name)));
    used.add(fresh);
    chosen.set(id, fresh);
  }
  return chosen;
}

function dropUnused(doc: WorkflowDocument, name: string): WorkflowDocument {
  const graphs = [doc, ...Object.values(doc.graphs ?? {})];
  const used = graphs.some((graph) => Object.values(graph.nodes).some((node) => node.type === GRAPH_PREFIX + name));
  return used ? doc : { ...doc, graphs: without(doc.graphs ?? {}, [name]) };
}

function movePlaces(doc: WorkflowDocument, at: GraphName, ids: readonly string[], name: string, id: string) {
  const places = ids.flatMap((node) => {
    const place = positionOf(doc, at, node);
    return place === undefined ? [] : [[node, place] as const];
  });
  if (places.length === 0) return doc;
  const inner = placeNodes(doc, name, Object.fromEntries(places));
  return placeNodes(forgetNodes(inner, at, ids), at, { [id]: centre(places.map(([, place]) => place)) });
}

function restorePlaces(
  doc: WorkflowDocument,
  before: WorkflowDocument,
  at: GraphName,
  id: string,
  name: string,
  renamed: ReadonlyMap<string, string>,
): WorkflowDocument {
  const places = [...renamed].flatMap(([inner, outer]) => {
    const place = positionOf(before, name, inner);
    return place === undefined ? [] : [[outer, place] as const];
  });
  const middle = centre(places.map(([, place]) => place));
  const target = positionOf(before, at, id) ?? middle;
  const moved = places.map(([outer, place]) => {
    return [outer, { x: place.x - middle.x + target.x, y: place.y - middle.y + target.y }] as const;
  });
  const gone = own(doc.graphs, name) === undefined ? [...renamed.keys()] : [];
  return placeNodes(forgetNodes(forgetNodes(doc, name, gone), at, [id]), at, Object.fromEntries(moved));
}

function centre(points: readonly Point[]): Point {
  const count = Math.max(1, points.length);
  const sum = points.reduce((total, point) => ({ x: total.x + point.x, y: total.y + point.y }), { x: 0, y: 0 });
  return { x: Math.round(sum.x / count), y: Math.round(sum.y / count) };
}

function pick<T>(record: Dict<T>, keys: ReadonlySet<string>): Dict<T> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => keys.has(key)));
}

function shortest(targets: readonly string[]): Targets {
  const [only, ...others] = targets;
  return only !== undefined && others.length === 0 ? only : targets;
}
