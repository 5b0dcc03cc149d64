/** Where a node lies that a problem or an event names: "id", "outer/inner", or "graph:NAME/inner" for a definition. */

import { GRAPH_PREFIX, graphOf, openGraphName, type WorkflowDocument } from "../model/document";
import { own } from "../model/json";
import { subgraphOf } from "../model/nodes";

export interface Place {
  /** Subgraphs to open, outermost first. */
  readonly path: readonly string[];
  readonly id: string;
}

/** The place of a node, or of the deepest part of its path that the canvas can show; null when there is none. */
export function placeIn(doc: WorkflowDocument, text: string): Place | null {
  const definition = text.startsWith(GRAPH_PREFIX) ? text.slice(GRAPH_PREFIX.length).split("/") : null;
  const path: string[] = definition === null ? [] : definition.slice(0, 1);
  const ids = definition === null ? text.split("/") : definition.slice(1);
  let found: Place | null = null;
  for (const id of ids) {
    const node = own(graphOf(doc, openGraphName(path)).nodes, id);
    if (node === undefined) break;
    found = { path: [...path], id };
    const inner = subgraphOf(doc, node);
    if (inner === null) break;
    path.push(inner);
  }
  return found;
}

/** The ids under which the open graph's nodes stand in plans and events: "" for the workflow, else "outer/". */
export function prefixOf(doc: WorkflowDocument, path: readonly string[]): string | null {
  let prefix = "";
  let at: string | null = null;
  for (const name of path) {
    const use = Object.entries(graphOf(doc, at).nodes).find(([, node]) => node.type === GRAPH_PREFIX + name);
    // A definition that nothing uses on this way has no place in the plan.
    if (use === undefined) return null;
    prefix += `${use[0]}/`;
    at = name;
  }
  return prefix;
}
