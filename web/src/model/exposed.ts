/** Exposed inputs and outputs: the workflow's parameters and results, and a subgraph's ports. */

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
import { type Dict, type Json, own, put, without } from "./json";
import { freshName } from "./names";
import { setValue } from "./values";

/** The exposed input that feeds a port; null when none does. */
export function exposedAs(graph: GraphEntry, ref: PortRef): string | null {
  const text = formatRef(ref);
  return Object.entries(graph.inputs ?? {}).find(([, targets]) => targetsOf(targets).includes(text))?.[0] ?? null;
}

/** The name under which an output is one of the graph's outputs; null when it is not. */
export function outputName(graph: GraphEntry, ref: PortRef): string | null {
  const text = formatRef(ref);
  return Object.entries(graph.outputs ?? {}).find(([, source]) => source === text)?.[0] ?? null;
}

/** Make a port a parameter of its graph. With the name of an input that exists, that one feeds this port too. */
export function exposeInput(doc: WorkflowDocument, at: GraphName, ref: PortRef, name?: string): WorkflowDocument {
  const graph = graphOf(doc, at);
  if (exposedAs(graph, ref) !== null) return doc;
  const taken = (given: string) => own(graph.inputs, given) !== undefined;
  const chosen = name ?? freshName(ref.port, taken);
  const before = targetsOf(own(graph.inputs, chosen) ?? []);
  const targets = before.length === 0 ? formatRef(ref) : [...before, formatRef(ref)];
  return withGraph(doc, at, { inputs: put(graph.inputs, chosen, targets) });
}

/** Take a port from the input that feeds it; an input that feeds nothing any more goes. */
export function hideInput(doc: WorkflowDocument, at: GraphName, ref: PortRef): WorkflowDocument {
  const graph = graphOf(doc, at);
  const name = exposedAs(graph, ref);
  if (name === null) return doc;
  const left = targetsOf(own(graph.inputs, name) ?? []).filter((target) => target !== formatRef(ref));
  if (left.length === 0) return removeInput(doc, at, name);
  return withGraph(doc, at, { inputs: put(graph.inputs, name, shortest(left)) });
}

/** Take a parameter away; uses of a subgraph lose what they gave it. */
export function removeInput(doc: WorkflowDocument, at: GraphName, name: string): WorkflowDocument {
  const graph = graphOf(doc, at);
  if (own(graph.inputs, name) === undefined) return doc;
  const hidden = withGraph(doc, at, { inputs: without(graph.inputs ?? {}, [name]) });
  return at === null ? hidden : dropPorts(hidden, at, [name], []);
}

export function exposeOutput(doc: WorkflowDocument, at: GraphName, ref: PortRef, name?: string): WorkflowDocument {
  const graph = graphOf(doc, at);
  if (outputName(graph, ref) !== null) return doc;
  const chosen = name ?? freshName(ref.port, (given) => own(graph.outputs, given) !== undefined);
  return withGraph(doc, at, { outputs: put(graph.outputs, chosen, formatRef(ref)) });
}

export function removeOutput(doc: WorkflowDocument, at: GraphName, name: string): WorkflowDocument {
  const graph = graphOf(doc, at);
  if (own(graph.outputs, name) === undefined) return doc;
  const hidden = withGraph(doc, at, { outputs: without(graph.outputs ?? {}, [name]) });
  return at === null ? hidden : dropPorts(hidden, at, [], [name]);
}

/** Give a parameter another name; what uses a subgraph follows. The same document when the name is taken or none. */
export function renameInput(doc: WorkflowDocument, at: GraphName, from: string, to: string): WorkflowDocument {
  const graph = graphOf(doc, at);
  const targets = own(graph.inputs, from);
  if (targets === undefined || to === "" || own(graph.inputs, to) !== undefined) return doc;
  const inputs = renamed(graph.inputs ?? {}, from, to);
  const done = withGraph(doc, at, { inputs });
  return at === null ? done : onUses(done, at, (node) => renamedPorts(node, from, to));
}

/** Type a value of a parameter in: at every port that it feeds. */
export function setInput(doc: WorkflowDocument, name: string, value: Json): WorkflowDocument {
  let changed = doc;
  for (const target of targetsOf(own(doc.inputs, name) ?? [])) {
    const { node, port } = parseRef(target);
    changed = setValue(changed, null, node, port, value);
  }
  return changed;
}

/** A graph without some nodes, and the inputs and outputs that it lost with them. */
export function withoutNodes(
  graph: GraphEntry,
  gone: ReadonlySet<string>,
): { readonly graph: Partial<GraphEntry>; readonly inputs: string[]; readonly outputs: string[] } {
  const left = (target: string) => !gone.has(parseRef(target).node);
  const inputs = Object.entries(graph.inputs ?? {}).flatMap(([name, targets]) => {
    const kept = targetsOf(targets).filter(left);
    return kept.length === 0 ? [] : [[name, kept.length === targetsOf(targets).length ? targets : shortest(kept)]];
  });
  const outputs = Object.entries(graph.outputs ?? {}).filter(([, source]) => left(source));
  const after = { inputs: Object.fromEntries(inputs) as Dict<Targets>, outputs: Object.fromEntries(outputs) };
  const nodes = Object.entries(graph.nodes)
    .filter(([id]) => !gone.has(id))
    .map(([id, node]) => [id, unlinked(node, (ref) => !left(ref))] as const);
  return {
    graph: {
      nodes: Object.fromEntries(nodes),
      ...(graph.inputs === undefined ? {} : { inputs: after.inputs }),
      ...(graph.outputs === undefined ? {} : { outputs: after.outputs }),
    },
    inputs: Object.keys(graph.inputs ?? {}).filter((name) => own(after.inputs, name) === undefined),
    outputs: Object.keys(graph.outputs ?? {}).filter((name) => own(after.outputs, name) === undefined),
  };
}

/** After a subgraph lost ports: its uses lose the values and links there, and what they exposed of it. */
export function dropPorts(
  doc: WorkflowDocument,
  name: string,
  inputs: readonly string[],
  outputs: readonly string[],
): WorkflowDocument {
  if (inputs.length + outputs.length === 0) return doc;
  let changed = onUses(doc, name, (node) => withoutPorts(node, inputs));
  for (const at of [null, ...Object.keys(doc.graphs ?? {})]) {
    const uses = usesIn(changed, at, name);
    if (uses.size === 0) continue;
    const lost = (text: string, ports: readonly string[]) => {
      const ref = parseRef(text);
      return uses.has(ref.node) && ports.includes(ref.port);
    };
    const graph = graphOf(changed, at);
    const nodes = Object.entries(graph.nodes).map(([id, node]) => [id, unlinked(node, (ref) => lost(ref, outputs))]);
    changed = withGraph(changed, at, { nodes: Object.fromEntries(nodes) as Dict<NodeEntry> });
    for (const [input, targets] of Object.entries(graph.inputs ?? {}))
      for (const target of targetsOf(targets))
        if (lost(target, inputs) && own(graphOf(changed, at).inputs, input) !== undefined)
          changed = hideInput(changed, at, parseRef(target));
    for (const [output, source] of Object.entries(graph.outputs ?? {}))
      if (lost(source, outputs)) changed = removeOutput(changed, at, output);
  }
  return changed;
}

function usesIn(doc: WorkflowDocument, at: GraphName, name: string): ReadonlySet<string> {
  const nodes = Object.entries(graphOf(doc, at).nodes);
  return new Set(nodes.filter(([, node]) => node.type === GRAPH_PREFIX + name).map(([id]) => id));
}

function onUses(doc: WorkflowDocument, name: string, change: (node: NodeEntry) => NodeEntry): WorkflowDocument {
  let changed = doc;
  for (const at of [null, ...Object.keys(doc.graphs ?? {})]) {
    const uses = usesIn(changed, at, name);
    if (uses.size === 0) continue;
    const nodes = Object.entries(graphOf(changed, at).nodes);
    const after = nodes.map(([id, node]) => [id, uses.has(id) ? change(node) : node] as const);
    changed = withGraph(changed, at, { nodes: Object.fromEntries(after) });
  }
  return changed;
}

function withoutPorts(node: NodeEntry, ports: readonly string[]): NodeEntry {
  const { values, links, ...rest } = node;
  const keptValues = without(values ?? {}, ports);
  const keptLinks = without(links ?? {}, ports);
  if (keptValues === (values ?? keptValues) && keptLinks === (links ?? keptLinks)) return node;
  return {
    ...rest,
    ...(Object.keys(keptValues).length > 0 ? { values: keptValues } : {}),
    ...(Object.keys(keptLinks).length > 0 ? { links: keptLinks } : {}),
  };
}

function renamedPorts(node: NodeEntry, from: string, to: string): NodeEntry {
  return {
    ...node,
    ...(node.values && { values: renamed(node.values, from, to) }),
    ...(node.links && { links: renamed(node.links, from, to) }),
  };
}

function renamed<T>(record: Dict<T>, from: string, to: string): Dict<T> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name === from ? to : name, value]));
}

function shortest(targets: readonly string[]): Targets {
  const [only, ...others] = targets;
  return only !== undefined && others.length === 0 ? only : targets;
}

/** Values of the exposed inputs as they are typed in; those at their default are left out. */
export function inputValues(doc: WorkflowDocument): Dict<Json> {
  const found = Object.entries(doc.inputs ?? {}).flatMap(([name, targets]) => {
    const ref = parseRef(targetsOf(targets)[0] ?? "");
    const value = own(own(doc.nodes, ref.node)?.values, ref.port);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(found);
}

/** A workflow without outputs would show nothing: what its last nodes make become its outputs. */
export function shownAtLeast(catalog: Catalog, doc: WorkflowDocument): WorkflowDocument {
  if (Object.keys(doc.outputs ?? {}).length > 0) return doc;
  const read = new Set(
    Object.values(doc.nodes).flatMap((node) => Object.values(node.links ?? {}).map((link) => parseRef(link).node)),
  );
  const last = Object.entries(doc.nodes).filter(([id]) => !read.has(id));
  const refs = last.flatMap(([node, { type }]) => {
    const outputs = own(catalog.nodes, type)?.outputs ?? [];
    return outputs.map((port) => ({ node, port: port.name }));
  });
  return refs.reduce((before, ref) => exposeOutput(before, null, ref), doc);
}
