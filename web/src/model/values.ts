/** Values that are typed in at ports. */

import { type GraphName, type WorkflowDocument, withNode } from "./document";
import { type Json, own, put, sameJson, without } from "./json";

/** Type a value in; a link at the port gives way. */
export function setValue(
  doc: WorkflowDocument,
  at: GraphName,
  id: string,
  port: string,
  value: Json,
): WorkflowDocument {
  return withNode(doc, at, id, (node) => {
    const before = own(node.values, port);
    if (before !== undefined && sameJson(before, value) && own(node.links, port) === undefined) return node;
    const { links, ...rest } = node;
    const left = without(links ?? {}, [port]);
    const kept = Object.keys(left).length > 0 ? { links: left } : {};
    return { ...rest, ...kept, values: put(node.values, port, value) };
  });
}

/** Take a typed-in value away: the port falls back to its default. */
export function resetValue(doc: WorkflowDocument, at: GraphName, id: string, port: string): WorkflowDocument {
  return withNode(doc, at, id, (node) => {
    if (own(node.values, port) === undefined) return node;
    const { values, ...rest } = node;
    const left = without(values ?? {}, [port]);
    return Object.keys(left).length > 0 ? { ...rest, values: left } : rest;
  });
}
