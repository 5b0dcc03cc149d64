/** Something that is wrong with a workflow, as the server and the command line report it. */

export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | null;
  /** The node's id; inside a subgraph "outer/inner", in its definition "graph:NAME/inner". */
  readonly node?: string | null;
  readonly port?: string | null;
  readonly severity?: "error" | "warning";
}
