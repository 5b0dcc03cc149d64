/** Which results a node of the canvas stands for. Keys name results; paths name nodes, inner ones "outer/inner". */

import { type GraphName, graphOf, parseRef, type WorkflowDocument } from "./document";
import { type Dict, own } from "./json";
import { subgraphOf } from "./nodes";
import type { Plan } from "./plan";

/** A node's result, or that of one inside it, and which of its outputs the node gives; null for all. */
export interface Made {
  /** The node that it is of. */
  readonly path: string;
  readonly key: string;
  readonly ports: readonly string[] | null;
  /** It will be made anew: a value has changed since. */
  readonly stale: boolean;
}

/**
 * What `id` made: its own result, the last of those that the engine took it apart into, or what its subgraph gives.
 * `newest` is the key of the result that each node gave or was found to have last.
 */
export function madeBy(
  doc: WorkflowDocument,
  at: GraphName,
  prefix: string,
  id: string,
  plan: Plan | null,
  newest: Dict<string>,
): readonly Made[] {
  return sources(doc, at, prefix, id).flatMap(({ path, ports }) => {
    const row = plan === null ? undefined : rowOf(plan, path);
    if (row?.action === "hit") return [{ path, key: row.key, ports, stale: false }];
    const key = own(newest, path) ?? lastInside(newest, path, plan);
    return key === undefined ? [] : [{ path, key, ports, stale: row !== undefined && row.key !== key }];
  });
}

/** `newest` with the results that a plan found stored: what a node showed once it goes on showing, until there is another. */
export function withFound(newest: Dict<string>, plan: Plan): Dict<string> {
  const found = Object.entries(plan.nodes).flatMap(([path, { action, key }]) =>
    action === "hit" && own(newest, path) !== key ? [[path, key] as const] : [],
  );
  return found.length === 0 ? newest : { ...newest, ...Object.fromEntries(found) };
}

interface Source {
  readonly path: string;
  readonly ports: readonly string[] | null;
}

const DEEPEST = 20;

function sources(doc: WorkflowDocument, at: GraphName, prefix: string, id: string, depth = 0): readonly Source[] {
  const node = own(graphOf(doc, at).nodes, id);
  const inner = node === undefined ? null : subgraphOf(doc, node);
  if (inner === null || depth > DEEPEST) return [{ path: prefix + id, ports: null }];
  const byNode = new Map<string, string[]>();
  for (const ref of Object.values(graphOf(doc, inner).outputs ?? {}).map(parseRef))
    byNode.set(ref.node, [...(byNode.get(ref.node) ?? []), ref.port]);
  return [...byNode].flatMap(([source, ports]) => {
    const found = sources(doc, inner, `${prefix}${id}/`, source, depth + 1);
    return found.map((one) => (one.ports === null ? { ...one, ports } : one));
  });
}

/** The plan's row of a node, or the last of those inside it: in the order of a plan sources come first. */
function rowOf(plan: Plan, path: string) {
  const row = own(plan.nodes, path);
  if (row !== undefined) return row;
  const last = insides(plan).get(path);
  return last === undefined ? undefined : own(plan.nodes, last);
}

function lastInside(newest: Dict<string>, path: string, plan: Plan | null): string | undefined {
  const last = plan === null ? undefined : insides(plan).get(path);
  return last === undefined ? undefined : own(newest, last);
}

const known = new WeakMap<Plan, Map<string, string>>();

/** The last node inside each node. */
function insides(plan: Plan): ReadonlyMap<string, string> {
  const found = known.get(plan);
  if (found !== undefined) return found;
  const last = new Map<string, string>();
  for (const path of Object.keys(plan.nodes))
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1))
      last.set(path.slice(0, end), path);
  known.set(plan, last);
  return last;
}
