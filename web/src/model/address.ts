/** Where a port stands, as one text: "sample.seed" in the workflow, "graph:NAME/sample.seed" in a subgraph. */

import { formatRef, GRAPH_PREFIX, type GraphName, type PortRef, parseRef } from "./document";

export interface PortAddress extends PortRef {
  readonly graph: GraphName;
}

export function formatAddress(graph: GraphName, ref: PortRef): string {
  return `${graph === null ? "" : `${GRAPH_PREFIX}${graph}/`}${formatRef(ref)}`;
}

export function parseAddress(text: string): PortAddress {
  if (!text.startsWith(GRAPH_PREFIX)) return { graph: null, ...parseRef(text) };
  const end = text.lastIndexOf("/");
  return { graph: text.slice(GRAPH_PREFIX.length, end), ...parseRef(text.slice(end + 1)) };
}
