/** The ports of every node of a graph: from the catalogue, from a subgraph's interface, or guessed for unknown types. */

import type { Catalog, InputPort, NodeType, OutputPort } from "./catalog";
import {
  type GraphEntry,
  type GraphName,
  graphOf,
  type NodeEntry,
  parseRef,
  subgraphName,
  targetsOf,
  type WorkflowDocument,
} from "./document";
import { own } from "./json";
import { ANY } from "./porttypes";

/** What a node looks like from outside. */
export interface NodePorts {
  readonly title: string;
  readonly category: string;
  readonly doc: string;
  readonly inputs: readonly InputPort[];
  readonly outputs: readonly OutputPort[];
  /** `unknown`: no installed pack has the type; the node is kept as it is. `newer`: made for a later version of it. */
  readonly kind: "node" | "subgraph" | "unknown" | "newer";
}

const LEVELS = 32;
const ofType = new WeakMap<NodeType, NodePorts>();

/** The ports of one node. */
export function portsOf(catalog: Catalog, doc: WorkflowDocument, at: GraphName, id: string): NodePorts {
  const graph = graphOf(doc, at);
  const node = own(graph.nodes, id);
  if (node === undefined) return guessed(graph, id, { type: "" });
  const name = subgraphName(node.type);
  if (name !== null && own(doc.graphs, name) !== undefined) return portsOfSubgraph(catalog, doc, name);
  const type = own(catalog.nodes, node.type);
  if (type === undefined) return guessed(graph, id, node);
  const ports = portsOfType(type);
  return (node.version ?? 0) > type.version ? { ...ports, kind: "newer" } : ports;
}

/** The ports of a node type; the same object each time, so that views can compare it. */
export function portsOfType(type: NodeType): NodePorts {
  let ports = ofType.get(type);
  if (ports === undefined) {
    const { title, category, doc, inputs, outputs } = type;
    ports = { title, category, doc, inputs, outputs, kind: "node" };
    ofType.set(type, ports);
  }
  return ports;
}

/** The interface of a subgraph: its exposed inputs and its outputs, each with the type of the real port behind it. */
export function portsOfSubgraph(catalog: Catalog, doc: WorkflowDocument, name: string): NodePorts {
  const graph = graphOf(doc, name);
  const inputs = Object.keys(graph.inputs ?? {}).map((port) => inputOf(catalog, doc, name, port));
  const outputs = Object.keys(graph.outputs ?? {}).map((port) => outputOf(catalog, doc, name, port));
  return { title: name, category: "subgraph", doc: "", inputs, outputs, kind: "subgraph" };
}

/** The real port that a graph's exposed input feeds first, under the input's name. */
export function inputOf(catalog: Catalog, doc: WorkflowDocument, at: GraphName, name: string): InputPort {
  let [graph, port] = [graphOf(doc, at), name];
  let given = false;
  for (let level = 0; level < LEVELS; level++) {
    const target = targetsOf(own(graph.inputs, port) ?? [])[0];
    const ref = target === undefined ? null : parseRef(target);
    const node = ref === null ? undefined : own(graph.nodes, ref.node);
    if (ref === null || node === undefined) break;
    const value = own(node.values, ref.port);
    given ||= value !== undefined || own(node.links, ref.port) !== undefined;
    const inner = subgraphName(node.type);
    if (inner === null) {
      const found = own(catalog.nodes, node.type)?.inputs.find((input) => input.name === ref.port);
      if (found === undefined) break;
      // What the subgraph holds already is what the port falls back to.
      const fallback = value === undefined ? {} : { default: value };
      return { ...found, name, required: found.required && !given, ...fallback };
    }
    [graph, port] = [graphOf(doc, inner), ref.port];
  }
  return unknownInput(name);
}

/** The real output behind a graph's output, under the output's name. */
export function outputOf(catalog: Catalog, doc: WorkflowDocument, at: GraphName, name: string): OutputPort {
  let [graph, port] = [graphOf(doc, at), name];
  for (let level = 0; level < LEVELS; level++) {
    const source = own(graph.outputs, port);
    const ref = source === undefined ? null : parseRef(source);
    const node = ref === null ? undefined : own(graph.nodes, ref.node);
    if (ref === null || node === undefined) break;
    const inner = subgraphName(node.type);
    if (inner === null) {
      const found = own(catalog.nodes, node.type)?.outputs.find((output) => output.name === ref.port);
      return found === undefined ? unknownOutput(name) : { ...found, name };
    }
    [graph, port] = [graphOf(doc, inner), ref.port];
  }
  return unknownOutput(name);
}

function guessed(graph: GraphEntry, id: string, node: NodeEntry): NodePorts {
  const inputs = [...Object.keys(node.links ?? {}), ...Object.keys(node.values ?? {})];
  const read = Object.values(graph.nodes).flatMap((other) => Object.values(other.links ?? {}));
  const outputs = [...read, ...Object.values(graph.outputs ?? {})].map(parseRef).filter((ref) => ref.node === id);
  return {
    title: node.type,
    category: "unknown",
    doc: "No installed node pack has this type. The node is kept as it is.",
    inputs: [...new Set(inputs)].map(unknownInput),
    outputs: [...new Set(outputs.map((ref) => ref.port))].map(unknownOutput),
    kind: "unknown",
  };
}

function unknownInput(name: string): InputPort {
  return { name, type: ANY, required: false, optional: true, help: "", linkable: true, lazy: false };
}

function unknownOutput(name: string): OutputPort {
  return { name, type: ANY, help: "" };
}
