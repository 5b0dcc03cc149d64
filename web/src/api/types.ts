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

/** A picture that a `file` port can name: one that ships, or an upload. */
export interface PictureSource extends Picture {
  /** What the port takes. */
  readonly file: string;
  readonly origin: "builtin" | "upload";
}

export interface NodeReport {
  readonly status: "ran" | "hit" | "failed" | "skipped";
  readonly store?: string | null;
  readonly reason?: string | null;
  readonly key?: string | null;
  readonly elapsed_s?: number | null;
}

/** A run as lists show it. Times are ISO 8601. */
export interface RunRow {
  readonly run_id: string;
  readonly status: RunStatus;
  /** The workflow's. */
  readonly name: string;
  readonly user: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  /** Values by output; in lists only the first pictures. */
  readonly outputs: Readonly<Record<string, readonly unknown[]>>;
  readonly priority: number;
  /** Place in the queue, from 1; only while the run waits. */
  readonly position?: number | null;
  /** 2 when a worker died while it performed the run. */
  readonly attempts: number;
  /** It is running, and was told to stop. */
  readonly cancelling: boolean;
  readonly retry_of?: string | null;
  readonly created_at: string;
  readonly started_at?: string | null;
  readonly finished_at?: string | null;
  readonly elapsed_s?: number | null;
}

export interface RunPage {
  readonly runs: readonly RunRow[];
  /** `before` of the next page; nothing when this is the last one. */
  readonly next?: string | null;
}

/** Everything about a run: the object of `sdgraph run --json`, and what was asked for. */
export interface Run extends RunRow {
  /** The document, complete in itself. */
  readonly workflow: DocumentJson;
  readonly nodes: Readonly<Record<string, NodeReport>>;
  /** Every picture file, those of nodes that save included. */
  readonly files: readonly Picture[];
  readonly problems: readonly Problem[];
  readonly peak_memory_bytes?: number | null;
}

export interface RunQuery {
  /** Words that all occur in the workflow's name, a prompt or another text of the run. */
  readonly search?: string;
  /** `NAME:VALUE`: runs in which that input had that value. */
  readonly input?: string;
  readonly status?: RunStatus;
  /** `next` of the page before. */
  readonly before?: string;
  readonly limit?: number;
}

/** A model that is on the server's machine. */
export interface InstalledModel {
  /** What the `source` of a node that loads it takes. */
  readonly source: string;
  /** What loads it: "checkpoint", "lora", ...; "other": no node does. */
  readonly kind: string;
  readonly what: string;
  readonly bytes: number;
}

export interface ModelList {
  readonly models: readonly InstalledModel[];
  readonly truncated: boolean;
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

/** What an output of a node looks like. */
export interface OutputPreview {
  /** A value itself, or a few words about what is no value. */
  readonly text: string;
  /** The pictures look somewhat like what the value stands for, as those of latents. */
  readonly approximate?: boolean;
  /** Of the first few pictures, small. */
  readonly pictures?: readonly Picture[];
}

/** What a node gave, in small, by the key of its result. */
export interface NodePreview {
  readonly key: string;
  readonly outputs: Readonly<Record<string, OutputPreview>>;
}

/** Whether a value of an output is a picture. */
export function isPicture(value: unknown): value is Picture {
  const found = value as Partial<Picture> | null;
  return typeof found?.digest === "string" && typeof found.media_type === "string";
}

/** The pictures of a run with the outputs that they are of. */
export function picturesOf(run: Pick<RunRow, "outputs">): readonly (readonly [string, Picture])[] {
  return Object.entries(run.outputs ?? {}).flatMap(([name, values]) =>
    values.filter(isPicture).map((value) => [name, value] as const),
  );
}
