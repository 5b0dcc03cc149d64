/** What the editor's store holds and does. Components read it with `useEditor`, and change it by its actions only. */

import type { Catalog } from "../model/catalog";
import type { GraphName, WorkflowDocument } from "../model/document";
import type { History } from "../model/history";
import type { Dict, Json } from "../model/json";
import type { Plan } from "../model/plan";
import type { Problem } from "../model/problem";
import type { RunState } from "../model/runstate";

/** Where the open workflow is kept, and whether what is shown is what is kept. */
export interface FileState {
  /** Its name on the server; null until it is saved for the first time. */
  readonly name: string | null;
  /** The version (ETag) that was opened or saved last; "" for none. */
  readonly version: string;
  /** The document of that version. */
  readonly saved: WorkflowDocument;
  /** `changed-elsewhere`: another window saved meanwhile, and nothing is overwritten until the person decides. */
  readonly state: "kept" | "changed" | "saving" | "failed" | "changed-elsewhere";
  /** A template that ships: saving makes a copy of one's own. */
  readonly shipped: boolean;
}

export interface PlanState {
  /** `invalid`: the workflow has errors, and `plan` is the last one that there was. */
  readonly status: "none" | "planning" | "ready" | "invalid" | "offline";
  readonly plan: Plan | null;
}

/** A message that goes away by itself. */
export interface Notice {
  readonly id: number;
  readonly kind: "info" | "good" | "bad";
  readonly text: string;
  readonly hint?: string;
  /** Where on the screen it belongs, in CSS pixels; the corner when left out. */
  readonly at?: { readonly x: number; readonly y: number };
}

export interface ApplyOptions {
  /** What the menu calls it: "Undo move". */
  readonly label?: string;
  /** Changes with one key within a moment become one step of undo. */
  readonly merge?: string;
}

/** A pure edit. The same document means that there is nothing to do. */
export type Command = (doc: WorkflowDocument) => WorkflowDocument;

export interface EditorData {
  readonly catalog: Catalog;
  readonly loading: "loading" | "ready" | "failed";
  readonly history: History;
  /** Counts documents that were opened, so that the canvas knows when to show the whole of one. */
  readonly opened: number;
  /** Names of the subgraphs that are open, outermost first; empty: the workflow itself is shown. */
  readonly path: readonly string[];
  /** Ids of what is selected in the open graph: nodes, and groups, comments, reroutes ("@..."). */
  readonly selection: ReadonlySet<string>;
  readonly file: FileState;
  readonly plan: PlanState;
  /** Everything that is wrong with the workflow, as the server last said. */
  readonly problems: readonly Problem[];
  /** The run that the canvas shows; null before the first one. */
  readonly run: RunState | null;
  /** The key of the last result that each node gave, or was found to have, since the document was opened, by path. */
  readonly made: Dict<string>;
  readonly notices: readonly Notice[];
  /** A node that shall be brought into view; `seq` tells one wish from the next. */
  readonly focus: { readonly node: string; readonly port?: string; readonly seq: number } | null;
}

export interface EditorActions {
  apply(command: Command, options?: ApplyOptions): void;
  undo(): void;
  redo(): void;
  select(ids: Iterable<string>): void;
  /** Open a subgraph by name, or go back to the workflow (null), or to a level of `path`. */
  openGraph(name: GraphName): void;
  leaveGraph(levels?: number): void;
  /** Show a node wherever it is ("outer/inner", "graph:NAME/inner"): opens its graph, selects it, scrolls to it. */
  reveal(node: string, port?: string): void;

  /** Replace what is open: a document from a file, a picture, the history. */
  openDocument(document: unknown, file?: Partial<FileState>): void;
  openNamed(name: string): Promise<void>;
  newDocument(): void;
  save(): Promise<void>;
  saveAs(name: string): Promise<void>;
  /** After `changed-elsewhere`: keep this window's document, or take the other's. */
  resolveConflict(keep: "mine" | "theirs"): Promise<void>;

  /** Plan again soon (debounced); called by itself after every change. */
  refreshPlan(): void;
  /** Queue a run. `inputs` are values of exposed inputs by name. */
  startRun(options?: { readonly inputs?: Dict<Json>; readonly outputs?: readonly string[] }): Promise<void>;
  cancelRun(): Promise<void>;

  notify(notice: Omit<Notice, "id">): void;
  dismiss(id: number): void;
}

export type EditorState = EditorData & EditorActions;
