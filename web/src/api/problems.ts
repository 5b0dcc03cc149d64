/** Errors of the API: RFC 9457 problem documents as one typed error that carries every problem. */

export type Severity = "error" | "warning";

/** One thing that is wrong, as the server tells it. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | null;
  readonly node?: string | null;
  readonly port?: string | null;
  readonly severity?: Severity;
}

/** The server refused or failed; `problems` has at least one entry. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly problems: readonly Problem[];

  constructor(status: number, problems: readonly [Problem, ...Problem[]]) {
    super(problems[0].message);
    this.status = status;
    this.problems = problems;
  }

  /** The stable code of the first problem. */
  get code(): string {
    return this.problems[0]?.code ?? "unknown";
  }

  /** The first problem with its hint, for a line that a person reads. */
  get explanation(): string {
    const first = this.problems[0];
    return first?.hint ? `${first.message} ${first.hint}` : this.message;
  }
}

/** No answer came: the server is down, or the network is. */
export class OfflineError extends Error {
  override readonly name = "OfflineError";

  constructor() {
    super("The server does not answer.");
  }
}

/** The error that an answer with a status of 400 or more stands for. */
export async function errorOf(response: Response): Promise<ApiError> {
  const problems = problemsIn(await bodyOf(response));
  return new ApiError(response.status, problems ?? [unexplained(response)]);
}

/** A sentence for any error, thrown by whatever. */
export function sentence(error: unknown): string {
  if (error instanceof ApiError) return error.explanation;
  return error instanceof Error ? error.message : String(error);
}

/** Every problem that an error tells of. */
export function problemsOf(error: unknown): readonly Problem[] {
  if (error instanceof ApiError) return error.problems;
  return [{ code: "offline", message: sentence(error), severity: "error" }];
}

async function bodyOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return null;
  }
}

function problemsIn(body: unknown): [Problem, ...Problem[]] | null {
  const listed = (body as { problems?: unknown } | null)?.problems;
  if (!Array.isArray(listed)) return null;
  const [first, ...rest] = listed.filter(isProblem);
  return first ? [first, ...rest] : null;
}

function isProblem(value: unknown): value is Problem {
  const found = value as Partial<Problem> | null;
  return typeof found?.code === "string" && typeof found.message === "string";
}

function unexplained(response: Response): Problem {
  const message = `The server answered ${response.status} ${response.statusText}`.trim();
  return { code: `http-${response.status}`, message: `${message}.`, severity: "error" };
}
