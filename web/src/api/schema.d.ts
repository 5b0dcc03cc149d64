/**
 * What requests and answers of the API look like. Made by `python -m tools.api_types`; do not edit.
 *
 * Parts without a value are left out of answers, so no part of one is null.
 */

/** Every node type and port type, as `sdgraph nodes --json` prints them. */
export type Catalog = { readonly [key: string]: unknown };

/** A value of a node that is not what it was in the previous run. */
export interface ChangeOut {
  readonly port: string;
  readonly from: string;
  readonly to: string;
}

/** Everything that is wrong with a workflow. */
export interface CheckAnswer {
  readonly ok: boolean;
  readonly problems: readonly ProblemOut[];
}

/** A workflow in another form. */
export interface ExportAnswer {
  readonly text: string;
}

/** A workflow that is wanted in another form. */
export interface ExportRequest {
  /** The document, or `{"name": "txt2img"}` for one that the server has. */
  readonly workflow: { readonly [key: string]: unknown };
  readonly kind?: "python";
}

/** Whether the server works. */
export interface Health {
  readonly status: "ok";
  readonly version: string;
  readonly uptime_s: number;
  /** Every worker is up and has loaded what `serve --warm` names. */
  readonly ready: boolean;
  readonly workers: readonly WorkerHealth[];
}

/** The models that are here, built-in ones first. */
export interface ModelList {
  readonly models: readonly ModelOut[];
  /** There are more than are listed. */
  readonly truncated: boolean;
}

/** A model that is here. */
export interface ModelOut {
  /** What the `source` of a node that loads it takes. */
  readonly source: string;
  /** What loads it; `other`: no node does. */
  readonly kind: "checkpoint" | "vae" | "lora" | "embedding" | "controlnet" | "t2i_adapter" | "ip_adapter" | "text_encoder" | "image_encoder" | "upscaler" | "other";
  /** What it is, in words. */
  readonly what: string;
  /** The model family of a checkpoint. */
  readonly family?: string;
  readonly bytes: number;
  /** `builtin`, `folder` (of `SDGRAPH_MODEL_FOLDERS`) or `hub` (its cache on this machine). */
  readonly origin: string;
}

/** What became of one node. */
export interface NodeOut {
  readonly status: "ran" | "hit" | "failed" | "skipped";
  /** The tier that had the result. */
  readonly store?: string;
  /** The class of the reason. */
  readonly code?: string;
  readonly reason?: string;
  readonly changes?: readonly ChangeOut[];
  readonly began_at?: string;
  readonly key?: string;
  readonly elapsed_s?: number;
}

/** What a node gave, in small. */
export interface NodePreview {
  /** The key of the result. */
  readonly key: string;
  /** By output port. */
  readonly outputs: { readonly [key: string]: OutputPreview };
}

/** The workflow that was in a file. */
export interface OpenAnswer {
  readonly workflow: { readonly [key: string]: unknown };
}

/** What an output of a node looks like. */
export interface OutputPreview {
  /** A value itself, or a few words about what is no value, at most 200 characters. */
  readonly text: string;
  /** The pictures look somewhat like what the value stands for, as those of latents. */
  readonly approximate?: boolean;
  /** Thumbnails of the first four pictures, at most 256 px on a side. */
  readonly pictures?: readonly PictureOut[];
}

/** Pictures that nodes can read: those that ship by name, then uploads, the newest first. */
export interface PictureList {
  readonly pictures: readonly PictureSource[];
}

/** A picture that a run gave. */
export interface PictureOut {
  /** SHA-256 of the file. */
  readonly digest: string;
  readonly url: string;
  readonly media_type: string;
  readonly width_px?: number;
  readonly height_px?: number;
}

/** A picture that nodes can read. */
export interface PictureSource {
  /** SHA-256 of the file. */
  readonly digest: string;
  readonly url: string;
  readonly media_type: string;
  readonly width_px?: number;
  readonly height_px?: number;
  /** What a node's `file` port takes. */
  readonly file: string;
  readonly origin: "builtin" | "upload";
}

/** What a run would do. */
export interface PlanAnswer {
  readonly workflow: string;
  readonly nodes: { readonly [key: string]: PlanRow };
  readonly run: number;
  readonly hit: number;
  readonly maybe: number;
  readonly unused: number;
  /** Seconds of all nodes that will run, as far as is known. */
  readonly estimated_s?: number;
  readonly problems: readonly ProblemOut[];
}

/** A workflow and the values of its inputs. */
export interface PlanRequest {
  /** The document, or `{"name": "txt2img"}` for one that the server has. */
  readonly workflow: { readonly [key: string]: unknown };
  /** Values by input name, as they would stand in the file. */
  readonly inputs?: { readonly [key: string]: unknown };
  /** The outputs wanted; all when left out. */
  readonly outputs?: readonly string[];
  /** Of runs that wait, the one with the highest goes first. */
  readonly priority?: number;
}

/** What is to be done about one node. */
export interface PlanRow {
  readonly action: "run" | "hit" | "maybe" | "unused";
  /** The class of the reason. */
  readonly code: string;
  readonly reason: string;
  /** What changed at the node itself since the previous run. */
  readonly changes?: readonly ChangeOut[];
  /** The node upstream where the change began. */
  readonly began_at?: string;
  /** The tier that has the result. */
  readonly store?: string;
  readonly key: string;
  /** Seconds that it will take to run, if nodes of its type have run before. */
  readonly estimated_s?: number;
}

/** RFC 9457: what went wrong. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly problems: readonly ProblemOut[];
}

/** One thing that is wrong. */
export interface ProblemOut {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly node?: string;
  readonly port?: string;
  readonly severity?: "error" | "warning";
}

/** A model that a worker has in memory. */
export interface ResidentModel {
  /** Its reference, and the component unless the reference is it. */
  readonly name: string;
  /** Where its weights are. */
  readonly device: string;
  readonly bytes: number;
  readonly in_use?: boolean;
}

/** Something that happened to a resource while a run was performed. */
export interface ResourceOut {
  /** A model came, moved or went; a payload was sent to another device; something was done about lack of memory; the safety checker hid a picture. */
  readonly type: "model" | "transfer" | "remedy" | "safety";
  /** The node that it was for. */
  readonly node?: string;
}

/** A run that waits. */
export interface RunAccepted {
  readonly run_id: string;
}

/** What is to be changed of a run; one of the three. */
export interface RunChange {
  /** Of runs that wait, the one with the highest goes first. */
  readonly priority?: number;
  /** The id of the run that is to come right after it, and whose priority it takes. Both must wait. */
  readonly before?: string;
  /** Whether it stays in the history with its pictures and uploads, whatever the limits say. */
  readonly pinned?: boolean;
}

/** Some runs, the newest first. */
export interface RunList {
  readonly runs: readonly RunRow[];
  /** `before` of the next page; left out on the last one. */
  readonly next?: string;
  /** How many runs there are of each status. */
  readonly counts: { readonly [key in "queued" | "running" | "done" | "partial" | "failed" | "cancelled"]?: number };
}

/** Everything about a run: the object of `run --json`, and what was asked for. */
export interface RunOut {
  readonly run_id: string;
  readonly status: "queued" | "running" | "done" | "partial" | "failed" | "cancelled";
  /** The workflow's. */
  readonly name: string;
  readonly user: string;
  /** The values that were given. */
  readonly inputs: { readonly [key: string]: unknown };
  /** In lists only the first pictures. */
  readonly outputs: { readonly [key: string]: readonly unknown[] };
  readonly priority: number;
  /** Place in the queue, from 1, not counting turns of users; only while the run waits. */
  readonly position?: number;
  /** 2 when a worker died while it performed the run. */
  readonly attempts: number;
  /** It is running, and was told to stop. */
  readonly cancelling: boolean;
  /** It stays in the history with its pictures. */
  readonly pinned: boolean;
  readonly retry_of?: string;
  readonly created_at: string;
  readonly started_at?: string;
  readonly finished_at?: string;
  readonly elapsed_s?: number;
  /** The document, complete in itself. */
  readonly workflow: { readonly [key: string]: unknown };
  /** The outputs asked for; all when left out. */
  readonly wanted?: readonly string[];
  readonly nodes: { readonly [key: string]: NodeOut };
  /** Every picture file, those of nodes that save included. */
  readonly files: readonly PictureOut[];
  readonly problems: readonly ProblemOut[];
  /** The most memory that the worker's process has had so far. */
  readonly peak_memory_bytes?: number;
  /** What happened to models, transfers and memory, in order. */
  readonly resources: readonly ResourceOut[];
}

/** A run as lists show it. */
export interface RunRow {
  readonly run_id: string;
  readonly status: "queued" | "running" | "done" | "partial" | "failed" | "cancelled";
  /** The workflow's. */
  readonly name: string;
  readonly user: string;
  /** The values that were given. */
  readonly inputs: { readonly [key: string]: unknown };
  /** In lists only the first pictures. */
  readonly outputs: { readonly [key: string]: readonly unknown[] };
  readonly priority: number;
  /** Place in the queue, from 1, not counting turns of users; only while the run waits. */
  readonly position?: number;
  /** 2 when a worker died while it performed the run. */
  readonly attempts: number;
  /** It is running, and was told to stop. */
  readonly cancelling: boolean;
  /** It stays in the history with its pictures. */
  readonly pinned: boolean;
  readonly retry_of?: string;
  readonly created_at: string;
  readonly started_at?: string;
  readonly finished_at?: string;
  readonly elapsed_s?: number;
}

/** A piece of a prompt and its weight. */
export interface SegmentOut {
  readonly text: string;
  readonly weight: number;
}

/** What a prompt comes to. Of a prompt that changes over the steps, its longest text counts. */
export interface TokensAnswer {
  /** Start and end not counted. */
  readonly tokens: number;
  /** Tokens that are read at once; more are read in chunks of so many. */
  readonly limit: number;
  readonly segments: readonly SegmentOut[];
}

/** A prompt and how it is written. */
export interface TokensRequest {
  readonly prompt: string;
  /** `auto` reads it as nodes do that are not told otherwise. */
  readonly syntax?: "auto" | "a1111" | "comfy" | "compel" | "plain";
}

/** A picture that was uploaded. */
export interface UploadOut {
  /** SHA-256 of the file. */
  readonly digest: string;
  readonly url: string;
  readonly media_type: string;
  readonly width_px?: number;
  readonly height_px?: number;
  /** What a node's `file` port takes. */
  readonly file: string;
}

/** What loading the models of a workflow came to. */
export interface WarmWorkflow {
  readonly workflow: string;
  /** Whether its next run finds every model where it needs it. */
  readonly ready: boolean;
  /** What is wrong with models that can't be loaded. */
  readonly problems?: readonly ProblemOut[];
}

/** What a worker does. */
export interface WorkerHealth {
  readonly name: string;
  readonly state: "starting" | "restarting" | "warming" | "idle" | "busy";
  /** Processes that were started for it so far. */
  readonly starts: number;
  readonly models_bytes?: number;
  /** The most recently used first, as it last said; it does each second. */
  readonly models?: readonly ResidentModel[];
  /** The workflow whose models are being loaded. */
  readonly warming?: string;
  /** The workflows of `serve --warm` that are done. */
  readonly warm?: readonly WarmWorkflow[];
}

/** A workflow that the server has. */
export interface WorkflowEntry {
  readonly name: string;
  /** The document's own name. */
  readonly title: string;
  readonly description: string;
  /** A template that comes with sdgraph; saving under its name makes a copy of one's own. */
  readonly shipped: boolean;
  /** Changes with the content: the ETag. */
  readonly version: string;
}

/** The workflows that the server has, by name. */
export interface WorkflowList {
  readonly workflows: readonly WorkflowEntry[];
}

/** Every route by its operation: what it takes and what it gives. */
export interface Operations {
  /** Describe every node type and port type that is installed. */
  readonly get_catalog: {
    readonly method: "GET";
    readonly path: "/api/catalog";
    readonly answer: Catalog;
  };
  /** Say that the server works, what its workers do, and whether they are ready. */
  readonly get_health: {
    readonly method: "GET";
    readonly path: "/api/health";
    readonly answer: Health;
  };
  /** List everything that is wrong with a workflow, models and pictures that it names included. */
  readonly check: {
    readonly method: "POST";
    readonly path: "/api/check";
    readonly request: PlanRequest;
    readonly answer: CheckAnswer;
  };
  /** Say for each node whether it would run, and why, without running anything. */
  readonly plan: {
    readonly method: "POST";
    readonly path: "/api/plan";
    readonly request: PlanRequest;
    readonly answer: PlanAnswer;
  };
  /** Give the workflow that is in a file: a PNG that sdgraph wrote, or JSON. Nothing of it is kept. */
  readonly open_file: {
    readonly method: "POST";
    readonly path: "/api/open";
    readonly answer: OpenAnswer;
  };
  /** Write a workflow in another form: as Python that builds it. */
  readonly export: {
    readonly method: "POST";
    readonly path: "/api/export";
    readonly request: ExportRequest;
    readonly answer: ExportAnswer;
  };
  /** Count the tokens of a prompt as CLIP reads it, and take its weights apart. */
  readonly count_tokens: {
    readonly method: "POST";
    readonly path: "/api/tokens";
    readonly request: TokensRequest;
    readonly answer: TokensAnswer;
  };
  /** List the models that workflows can name: built-in ones, those of the model folders and of the hub's cache. */
  readonly get_models: {
    readonly method: "GET";
    readonly path: "/api/models";
    readonly answer: ModelList;
  };
  /** Let a workflow run as soon as it is its turn. `Sdgraph-User` says whose turn that is. */
  readonly post_run: {
    readonly method: "POST";
    readonly path: "/api/runs";
    readonly request: PlanRequest;
    readonly answer: RunAccepted;
  };
  /** List runs, the newest first: those that wait, are performed, and have ended. */
  readonly get_runs: {
    readonly method: "GET";
    readonly path: "/api/runs";
    readonly query: {
      /** Words that all occur in the workflow's name, a prompt or the value of an input. */
      readonly search?: string;
      /** `NAME:VALUE`: runs in which that input had that value. */
      readonly input?: readonly string[];
      /** One status, or several with commas. */
      readonly status?: string;
      readonly user?: string;
      /** The id of a run: only older ones. */
      readonly before?: string;
      readonly limit?: number;
    };
    readonly answer: RunList;
  };
  /** Give everything about a run: its workflow, what it came to, and what each node did. */
  readonly get_run: {
    readonly method: "GET";
    readonly path: "/api/runs/{id}";
    readonly answer: RunOut;
  };
  /** Cancel a run: at once if it waits, within a step if it is performed. With `forget`, remove one that ended. */
  readonly delete_run: {
    readonly method: "DELETE";
    readonly path: "/api/runs/{id}";
    readonly query: {
      /** Remove a run that ended from the history, instead of cancelling one. */
      readonly forget?: boolean;
    };
    readonly answer: RunOut;
  };
  /** Move a run that waits: change its priority, or put it right before another of the same user. Or pin any run. */
  readonly patch_run: {
    readonly method: "PATCH";
    readonly path: "/api/runs/{id}";
    readonly request: RunChange;
    readonly answer: RunOut;
  };
  /** Ask again for a run that ended. What it stored is not computed again. */
  readonly retry_run: {
    readonly method: "POST";
    readonly path: "/api/runs/{id}/retry";
    readonly answer: RunAccepted;
  };
  /** Tell of runs over a WebSocket, from where the client left off. */
  readonly get_events: {
    readonly method: "GET";
    readonly path: "/api/events";
    readonly answer: unknown;
  };
  /** Say what a node gave, by the key of its result: thumbnails, and a few words. Runs, events and plans tell keys. */
  readonly get_preview: {
    readonly method: "GET";
    readonly path: "/api/previews/{key}";
    readonly answer: NodePreview;
  };
  /** Give a picture by its digest: one that a run gave, an upload, or one that ships. */
  readonly get_result: {
    readonly method: "GET";
    readonly path: "/api/results/{digest}";
    readonly answer: unknown;
  };
  /** List the pictures that nodes can read: those that ship, and the hundred uploads that were used last. */
  readonly get_pictures: {
    readonly method: "GET";
    readonly path: "/api/pictures";
    readonly answer: PictureList;
  };
  /** Keep a picture that nodes can read. Takes the file itself (`image/...`), or a form with one file. */
  readonly post_upload: {
    readonly method: "POST";
    readonly path: "/api/uploads";
    readonly answer: UploadOut;
  };
  /** List the workflows, one's own and the templates. */
  readonly list_workflows: {
    readonly method: "GET";
    readonly path: "/api/workflows";
    readonly answer: WorkflowList;
  };
  /** Give the document of a workflow; its version is the ETag. */
  readonly get_workflow: {
    readonly method: "GET";
    readonly path: "/api/workflows/{name}";
    readonly answer: unknown;
  };
  /** Save a document under a name. */
  readonly put_workflow: {
    readonly method: "PUT";
    readonly path: "/api/workflows/{name}";
    readonly answer: WorkflowEntry;
  };
  /** Remove a workflow of one's own; a template of its name shows again. */
  readonly delete_workflow: {
    readonly method: "DELETE";
    readonly path: "/api/workflows/{name}";
    readonly answer: unknown;
  };
  /** Give what the server does in numbers, as Prometheus reads them. */
  readonly get_metrics: {
    readonly method: "GET";
    readonly path: "/metrics";
    readonly answer: unknown;
  };
}
