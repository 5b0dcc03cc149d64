/** Links: whether two ports can be connected, why not, and doing it. */

import type { Catalog } from "./catalog";
import {
  formatRef,
  type GraphName,
  graphOf,
  type PortRef,
  parseRef,
  type WorkflowDocument,
  withNode,
} from "./document";
import { fittingOutputs, type GraphInfo, inputPort, inspect, outputType, reach } from "./inspect";
import { own, put, without } from "./json";
import { ANY, accepts } from "./porttypes";
import { forgetVia } from "./reroute";

export type Verdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: Refusal; readonly why: string; readonly hint?: string };

/** Codes are those of the server's problems where it has one. */
export type Refusal =
  | "port-type-mismatch"
  | "port-types-differ"
  | "port-not-linkable"
  | "link-output-missing"
  | "port-unknown"
  | "cycle";

const OK: Verdict = { ok: true };

/** Whether the output `from` may feed the input `to`. A link that the input has already is replaced, so it is no reason. */
export function canConnect(
  catalog: Catalog,
  doc: WorkflowDocument,
  at: GraphName,
  from: PortRef,
  to: PortRef,
): Verdict {
  const info = inspect(catalog, doc, at);
  const source = outputType(info, from);
  const target = inputPort(info, to);
  if (source === null) return refuse("link-output-missing", `There is no output \`${formatRef(from)}\`.`);
  if (target === null) return refuse("port-unknown", `There is no input \`${formatRef(to)}\`.`);
  if (!accepts(target.type, source)) return mismatch(info, from, to, target.type, source);
  if (closesCycle(info, from.node, to.node)) {
    const why = `\`${to.node}\` already feeds \`${from.node}\`, so the link would close a circle.`;
    return refuse("cycle", from.node === to.node ? "A node can't feed itself." : why, "Connect an earlier output.");
  }
  if (!target.linkable && !isConstant(catalog, doc, at, from.node)) {
    const why = `The value of \`${formatRef(to)}\` must be known before the run, and \`${from.node}\` is computed.`;
    return refuse("port-not-linkable", why, "Type the value in, or feed it from a value node.");
  }
  return target.type === ANY && info.generic.has(to.node) ? genericVerdict(catalog, doc, at, from, to) : OK;
}

/** Connect two ports. A typed-in value gives way, because a port has one of the two. */
export function connect(doc: WorkflowDocument, at: GraphName, from: PortRef, to: PortRef): WorkflowDocument {
  const source = formatRef(from);
  const linked = withNode(doc, at, to.node, (node) => {
    if (own(node.links, to.port) === source) return node;
    const { values, ...rest } = node;
    const left = without(values ?? {}, [to.port]);
    const kept = Object.keys(left).length > 0 ? { values: left } : {};
    return { ...rest, ...kept, links: put(node.links, to.port, source) };
  });
  return linked === doc ? doc : forgetVia(linked, at, [formatRef(to)]);
}

/** Take the link of an input away. */
export function disconnect(doc: WorkflowDocument, at: GraphName, to: PortRef): WorkflowDocument {
  const cut = withNode(doc, at, to.node, (node) => {
    if (own(node.links, to.port) === undefined) return node;
    const { links, ...rest } = node;
    const left = without(links ?? {}, [to.port]);
    return Object.keys(left).length > 0 ? { ...rest, links: left } : rest;
  });
  return cut === doc ? doc : forgetVia(cut, at, [formatRef(to)]);
}

/** Inputs that an output feeds, as "node.port". */
export function readersOf(doc: WorkflowDocument, at: GraphName, from: PortRef): PortRef[] {
  const source = formatRef(from);
  return Object.entries(graphOf(doc, at).nodes).flatMap(([node, entry]) =>
    Object.entries(entry.links ?? {})
      .filter(([, ref]) => ref === source)
      .map(([port]) => ({ node, port })),
  );
}

function closesCycle(info: GraphInfo, from: string, to: string): boolean {
  return from === to || reach(info.readers, [to]).has(from);
}

/** Whether all that a node gives is known before the run: a node that folds, fed by nothing else. */
function isConstant(catalog: Catalog, doc: WorkflowDocument, at: GraphName, id: string): boolean {
  const { nodes } = graphOf(doc, at);
  const { sources } = inspect(catalog, doc, at);
  return [...reach(sources, [id])].every((source) => {
    const type = own(nodes, source)?.type ?? "";
    // What is inside a subgraph, and what no pack explains, is left to the server's check.
    return own(catalog.nodes, type)?.folds ?? true;
  });
}

/** A generic node has one type: what else feeds it, and what reads it, must fit the new source. */
function genericVerdict(catalog: Catalog, doc: WorkflowDocument, at: GraphName, from: PortRef, to: PortRef): Verdict {
  const after = connect(doc, at, from, to);
  const info = inspect(catalog, after, at);
  const given = outputType(info, from) ?? ANY;
  for (const port of info.ports.get(to.node)?.inputs ?? []) {
    const link = own(own(graphOf(after, at).nodes, to.node)?.links, port.name);
    const other = port.type === ANY && link !== undefined ? (outputType(info, parseRef(link)) ?? ANY) : ANY;
    if (!accepts(given, other) && !accepts(other, given)) {
      const why = `\`${to.node}.${port.name}\` is given ${other}, and both must be of one type; this is ${given}.`;
      return refuse("port-types-differ", why, "Feed both from outputs of one type.");
    }
  }
  for (const output of info.ports.get(to.node)?.outputs ?? []) {
    const type = outputType(info, { node: to.node, port: output.name }) ?? ANY;
    for (const reader of readersOf(after, at, { node: to.node, port: output.name })) {
      const wanted = inputPort(info, reader)?.type ?? ANY;
      if (!accepts(wanted, type)) {
        const why = `\`${formatRef(reader)}\` reads \`${to.node}\` and expects ${wanted}; this is ${type}.`;
        return refuse("port-types-differ", why, `Connect an output of type ${wanted}.`);
      }
    }
  }
  return OK;
}

function mismatch(info: GraphInfo, from: PortRef, to: PortRef, expected: string, found: string): Verdict {
  const example = fittingOutputs(info, expected).find((ref) => parseRef(ref).node !== to.node);
  const why = `\`${formatRef(to)}\` expects ${expected}, but \`${formatRef(from)}\` gives ${found}.`;
  const hint = `Connect an output of type ${expected}${example === undefined ? "" : `, for example \`${example}\``}.`;
  return refuse("port-type-mismatch", why, hint);
}

function refuse(code: Refusal, why: string, hint?: string): Verdict {
  return { ok: false, code, why, ...(hint === undefined ? {} : { hint }) };
}
