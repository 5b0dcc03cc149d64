/** What a run would do, as `POST /api/plan` answers. */

import type { Dict } from "./json";
import type { Problem } from "./problem";

export type PlanAction = "run" | "hit" | "maybe" | "unused";

export interface PlanChange {
  readonly port: string;
  readonly from: string;
  readonly to: string;
}

export interface PlanRow {
  readonly action: PlanAction;
  readonly code: string;
  readonly reason: string;
  readonly changes?: readonly PlanChange[] | null;
  readonly began_at?: string | null;
  readonly store?: string | null;
  readonly key: string;
  /** Expected time of running the node, in seconds. */
  readonly estimated_s?: number | null;
}

export interface Plan {
  readonly workflow: string;
  /** By id; nodes of subgraphs and of macro nodes are "outer/inner". */
  readonly nodes: Dict<PlanRow>;
  readonly run: number;
  readonly hit: number;
  readonly maybe: number;
  readonly unused: number;
  readonly problems: readonly Problem[];
}

/** The plan of one node of the canvas: its own row, or what the nodes inside it come to. */
export interface NodePlan {
  readonly action: PlanAction;
  readonly reason: string;
  readonly changes: readonly PlanChange[];
  /** Seconds; null when unknown, or when nothing runs. */
  readonly estimated_s: number | null;
  /** Nodes inside it, when it stands for several. */
  readonly parts: number;
  readonly running: number;
}
