/** The run that the canvas shows, folded from its events. */

import type { Dict } from "./json";
import { own, put } from "./json";
import type { Problem } from "./problem";

export type NodeRunStatus = "waiting" | "running" | "ran" | "hit" | "failed" | "skipped";

/** What is known of one node in a run. Ids of nodes in subgraphs are "outer/inner". */
export interface NodeRun {
  readonly status: NodeRunStatus;
  readonly done?: number;
  readonly total?: number;
  readonly elapsed_s?: number;
  readonly problem?: Problem;
}

export type RunPhase = "queued" | "running" | "done" | "partial" | "failed" | "cancelled";

/** A picture on the server. */
export interface ResultPicture {
  readonly digest: string;
  readonly url: string;
  readonly media_type: string;
  readonly width_px?: number | null;
  readonly height_px?: number | null;
}

export interface RunState {
  readonly id: string;
  readonly phase: RunPhase;
  readonly nodes: Dict<NodeRun>;
  /** What the run's outputs came to, by output name; pictures and plain values. */
  readonly outputs: Dict<readonly unknown[]>;
  /** What single nodes came to, by node id, where that is known. */
  readonly results: Dict<readonly unknown[]>;
  readonly elapsed_s: number | null;
  readonly problems: readonly Problem[];
}

/** An event as the socket sends it. */
export interface RunEventLike {
  readonly run_id: string;
  readonly type: string;
  readonly node?: string;
  readonly [field: string]: unknown;
}

export function queuedRun(id: string): RunState {
  return { id, phase: "queued", nodes: {}, outputs: {}, results: {}, elapsed_s: null, problems: [] };
}

/** The run after an event; events of other runs and of unknown types change nothing. */
export function afterEvent(run: RunState, event: RunEventLike): RunState {
  if (event.run_id !== run.id) return run;
  switch (event.type) {
    case "run_started":
      return { ...run, phase: "running" };
    case "node_waiting":
      return withNodeRun(run, event, { status: "waiting" });
    case "node_cached":
      return withNodeRun(run, event, { status: "hit" });
    case "node_started":
      return withNodeRun(run, event, { status: "running" });
    case "node_progress":
      return withNodeRun(run, event, { status: "running", ...numbers(event, ["done", "total"]) });
    case "node_finished":
      return withNodeRun(run, event, { status: "ran", ...numbers(event, ["elapsed_s"]) });
    case "node_failed":
      return withNodeRun(run, event, { status: "failed", ...problemOf(event) });
    case "run_finished":
      return { ...run, phase: phaseOf(event["status"]), ...numbers(event, ["elapsed_s"]) };
    default:
      return run;
  }
}

export function isActive(run: RunState | null): boolean {
  return run !== null && (run.phase === "queued" || run.phase === "running");
}

function withNodeRun(run: RunState, event: RunEventLike, change: NodeRun): RunState {
  if (event.node === undefined) return run;
  const phase = run.phase === "queued" ? "running" : run.phase;
  const before = own(run.nodes, event.node);
  const kept = before?.status === change.status ? before : {};
  return { ...run, phase, nodes: put(run.nodes, event.node, { ...kept, ...change }) };
}

function numbers(event: RunEventLike, names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.flatMap((name) => (typeof event[name] === "number" ? [[name, event[name]]] : [])));
}

function problemOf(event: RunEventLike): { problem?: Problem } {
  const found = event["problem"];
  return typeof found === "object" && found !== null ? { problem: found as Problem } : {};
}

const PHASES: readonly string[] = ["done", "partial", "failed", "cancelled"];

function phaseOf(status: unknown): RunPhase {
  return typeof status === "string" && PHASES.includes(status) ? (status as RunPhase) : "done";
}
