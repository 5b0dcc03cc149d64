/** Putting a node into a link: what travelled along it goes through the node. */

import type { Catalog } from "./catalog";
import { canConnect, connect } from "./connect";
import type { GraphName, PortRef, WorkflowDocument } from "./document";
import { inputPort, inspect, outputType } from "./inspect";
import { accepts } from "./porttypes";

/** A link, by the output that it starts at and the input that it ends at. */
export interface Link {
  readonly source: PortRef;
  readonly target: PortRef;
}

/** The document with node `id` in a link; null when it has no ports that fit. */
export function inserted(
  catalog: Catalog,
  doc: WorkflowDocument,
  at: GraphName,
  id: string,
  { source, target }: Link,
): WorkflowDocument | null {
  const info = inspect(catalog, doc, at);
  const ports = info.ports.get(id);
  const given = outputType(info, source);
  const taken = inputPort(info, target)?.type;
  if (ports === undefined || given === null || taken === undefined) return null;
  const inputs = exactFirst(ports.inputs, given).filter((port) => port.linkable && accepts(port.type, given));
  const outputs = exactFirst(ports.outputs, taken).filter((port) => accepts(taken, port.type));
  for (const input of inputs) {
    const into = { node: id, port: input.name };
    if (!canConnect(catalog, doc, at, source, into).ok) continue;
    const half = connect(doc, at, source, into);
    const output = outputs.find((port) => canConnect(catalog, half, at, { node: id, port: port.name }, target).ok);
    if (output !== undefined) return connect(half, at, { node: id, port: output.name }, target);
  }
  return null;
}

/** A port of the very type goes before one that takes anything. */
function exactFirst<T extends { readonly type: string }>(ports: readonly T[], type: string): T[] {
  return ports.toSorted((a, b) => Number(b.type === type) - Number(a.type === type));
}
