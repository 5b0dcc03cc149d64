/** What requests and answers look like, where the generated schema says less than the server promises. */

import type { Problem } from "./problems";

/** A workflow file, `sdgraph/workflow@1`. Its parts are `src/model`'s business. */
export type DocumentJson = { readonly [key: string]: unknown };

/** A workflow, or the name of one that the server has, with values for its inputs. */
export interface PlanRequest {
  readonly workflow: DocumentJson | { readonly name: string };
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: readonly string[];
  readonly priority?: number;
}

export interface CheckAnswer {
  readonly ok: boolean;
  readonly problems: readonly Problem[];
}

export interface PlanRow {
  readonly action: "run" | "hit" | "maybe" | "unused";
  readonly code: string;
  readonly reason: string;
  readonly changes?: readonly { readonly port: string; readonly from: string; readonly to: string }[];
  readonly began_at?: string;
  readonly store?: string | null;
  readonly key: string;
  readonly estimated_s?: number | null;
}

export interface PlanAnswer {
  readonly workflow: string;
  readonly nodes: Readonly<Record<string, PlanRow>>;
  readonly run: number;
  readonly hit: number;
  readonly maybe: number;
  readonly unused: number;
  readonly estimated_s?: number | null;
  readonly problems: readonly Problem[];
}

export type RunStatus = "queued" | "running" | "done" | "partial" | "failed" | "cancelled";

/** A picture that a run made, or that was uploaded. */
export interface Picture {
  readonly digest: string;
  readonly url: string;
  readonly media_type: string;
  readonly width_px?: number | null;
  readonly height_px?: number | null;
}

export interface NodeReport {
  readonly status: "ran" | "hit" | "failed" | "skipped";
  readonly store?: string | null;
  readonly reason?: string | null;
  readonly key?: string | null;
  readonly elapsed_s?: number | null;
}

/** A run: the object of `sdgraph run --json`, and what the queue knows of it. */
export interface Run {
  readonly run_id: string;
  readonly status: RunStatus;
  readonly name?: string;
  readonly workflow?: DocumentJson | null;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs: Readonly<Record<string, readonly unknown[]>>;
  readonly nodes?: Readonly<Record<string, NodeReport>>;
  readonly problems?: readonly Problem[];
  readonly priority?: number;
  readonly position?: number | null;
  readonly user?: string;
  readonly attempts?: number;
  readonly elapsed_s?: number | null;
  readonly peak_memory_bytes?: number | null;
  readonly created_at?: string;
  readonly started_at?: string | null;
  readonly finished_at?: string | null;
}

export interface RunQuery {
  readonly search?: string;
  /** `NAME:VALUE`: runs in which that input had that value. */
  readonly input?: string;
  readonly status?: RunStatus;
  /** Only runs older than this one: the next page. */
  readonly before?: string;
  readonly limit?: number;
}

export interface WorkflowEntry {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly shipped: boolean;
  readonly version: string;
}

/** A document with the version that a later save names, so that nobody's work is overwritten unseen. */
export interface Versioned {
  readonly document: DocumentJson;
  readonly version: string;
}

export interface Upload extends Picture {
  /** What a `file` port takes. */
  readonly file: string;
}

export interface Segment {
  readonly text: string;
  readonly weight: number;
}

export interface Tokens {
  readonly tokens: number;
  readonly limit?: number | null;
  readonly segments: readonly Segment[];
}

/** Whether a value of an output is a picture. */
export function isPicture(value: unknown): value is Picture {
  const found = value as Partial<Picture> | null;
  return typeof found?.digest === "string" && typeof found.media_type === "string";
}
