/** The plan of single nodes of the canvas, and what the run button says. */

import { type GraphName, graphOf, type NodeEntry, subgraphName, type WorkflowDocument } from "./document";
import { own } from "./json";
import type { NodePlan, Plan, PlanAction, PlanChange, PlanRow } from "./plan";

/**
 * The plan by node of the graph that is open. `prefix` is where it lies in the workflow: "" for the workflow itself,
 * "outer/" for a subgraph opened through the node `outer`. A node that stands for several has their sum.
 */
export function nodePlans(plan: Plan, prefix: string): Map<string, NodePlan> {
  const rows = new Map<string, [string, PlanRow][]>();
  for (const [path, row] of Object.entries(plan.nodes)) {
    if (!path.startsWith(prefix)) continue;
    const [id, ...inner] = path.slice(prefix.length).split("/");
    if (id === undefined) continue;
    const group = rows.get(id);
    if (group === undefined) rows.set(id, [[inner.join("/"), row]]);
    else group.push([inner.join("/"), row]);
  }
  return new Map([...rows].map(([id, group]) => [id, summed(group)]));
}

export interface RunForecast {
  readonly run: number;
  readonly total: number;
  /** Seconds; null when a node that runs has no estimate. */
  readonly seconds: number | null;
}

/**
 * What a run would do in all. Nodes that may run count as running, and the parts of a node that the engine took apart as
 * that node, because people see one.
 */
export function forecast(plan: Plan, doc: WorkflowDocument): RunForecast {
  const nodes = new Map<string, PlanAction>();
  for (const [path, { action }] of Object.entries(plan.nodes)) {
    const owner = ownerOf(doc, path);
    const before = nodes.get(owner);
    if (before === undefined || ORDER.indexOf(action) < ORDER.indexOf(before)) nodes.set(owner, action);
  }
  const wanted = [...nodes.values()].filter((action) => action !== "unused");
  const running = Object.values(plan.nodes).filter(isRunning);
  const run = wanted.filter((action) => action === "run" || action === "maybe").length;
  return { run, total: wanted.length, seconds: secondsOf(running) };
}

/** The node of the file that a planned node belongs to, through subgraphs: "outer/inner". */
export function ownerOf(doc: WorkflowDocument, path: string): string {
  const ids = path.split("/");
  let at: GraphName = null;
  for (const [level, id] of ids.entries()) {
    const node: NodeEntry | undefined = own(graphOf(doc, at).nodes, id);
    const inner: GraphName = node === undefined ? null : subgraphName(node.type);
    if (inner === null) return ids.slice(0, level + 1).join("/");
    at = inner;
  }
  return path;
}

function isRunning(row: PlanRow): boolean {
  return row.action === "run" || row.action === "maybe";
}

/** A short form of a time: "under 0.1 s", "0.3 s", "4 s", "2 min", "1 h 5 min". */
export function shortTime(seconds: number): string {
  if (seconds < 0.05) return "under 0.1 s";
  if (seconds < 9.95) return `${seconds < 0.95 ? seconds.toFixed(1) : Math.round(seconds * 10) / 10} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h${minutes % 60 === 0 ? "" : ` ${minutes % 60} min`}`;
}

const ORDER: readonly PlanAction[] = ["run", "maybe", "hit", "unused"];

function summed(group: readonly [string, PlanRow][]): NodePlan {
  const rows = group.map(([, row]) => row);
  const action = ORDER.find((found) => rows.some((row) => row.action === found)) ?? "unused";
  const deciding = group.find(([, row]) => row.action === action) ?? group[0];
  const running = rows.filter(isRunning);
  const inner = deciding?.[0] ?? "";
  return {
    action,
    reason: `${inner === "" ? "" : `${inner}: `}${deciding?.[1].reason ?? ""}`,
    changes: distinct(rows.flatMap((row) => row.changes ?? [])),
    estimated_s: running.length === 0 ? null : secondsOf(running),
    parts: rows.length,
    running: running.length,
  };
}

/** The nodes inside one node tell of the same change each. */
function distinct(changes: readonly PlanChange[]): readonly PlanChange[] {
  return [...new Map(changes.map((one) => [`${one.port} ${one.from} ${one.to}`, one])).values()];
}

function secondsOf(rows: readonly PlanRow[]): number | null {
  let sum = 0;
  for (const row of rows) {
    if (row.estimated_s === null || row.estimated_s === undefined) return null;
    sum += row.estimated_s;
  }
  return sum;
}
