/** Texts of the export dialog. */

import type { WorkflowDocument } from "../../model/document";

export interface Call {
  /** `http://127.0.0.1:8188` */
  readonly origin: string;
  /** Whether requests carry a token. */
  readonly token: boolean;
  readonly document: WorkflowDocument;
  readonly inputs: Readonly<Record<string, unknown>>;
}

/** The canonical file: names sorted at every level, two spaces. */
export function fileText(value: unknown): string {
  return `${JSON.stringify(value, (_, part: unknown) => (isRecord(part) ? sorted(part) : part), 2)}\n`;
}

/** A request from a shell, for a POSIX shell. */
export function curlCall({ origin, token, document, inputs }: Call): string {
  const body = JSON.stringify({ workflow: document, inputs }, null, 2);
  const header = token ? ` \\\n  -H "Authorization: Bearer $SDGRAPH_TOKEN"` : "";
  return `curl -s ${origin}/api/runs${header} \\\n  -H 'Content-Type: application/json' \\\n  -d @- <<'JSON'\n${body}\nJSON\n`;
}

/** The same with `sdgraph.client`. */
export function pythonCall({ origin, token, document, inputs }: Call): string {
  const file = fileName(document.name ?? "", "json");
  const lines = Object.entries(inputs).map(([name, value]) => `    ${JSON.stringify(name)}: ${literal(value)},`);
  return [
    "import json",
    ...(token ? ["import os"] : []),
    "from pathlib import Path",
    "",
    "from sdgraph.client import connect",
    "",
    `workflow = json.loads(Path(${JSON.stringify(file)}).read_text())`,
    "inputs = {",
    ...lines,
    "}",
    `with connect(${JSON.stringify(origin)}${token ? `, token=os.environ["SDGRAPH_TOKEN"]` : ""}) as client:`,
    "    answer = client.run(workflow, inputs=inputs).result()",
    "for name, values in answer.outputs.items():",
    "    print(name, values)",
    "",
  ].join("\n");
}

/** `portrait.json`, `portrait.py`, `portrait.sh`. */
export function fileName(name: string, kind: string): string {
  const safe = name.replace(/[^\p{L}\p{N}_.-]+/gu, "_").replace(/^[._]+/, "") || "workflow";
  return `${safe}.${{ json: "json", curl: "sh" }[kind] ?? "py"}`;
}

/** A JSON value as Python writes it. */
export function literal(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (isRecord(value)) {
    return `{${Object.entries(value)
      .map(([name, part]) => `${JSON.stringify(name)}: ${literal(part)}`)
      .join(", ")}}`;
  }
  return JSON.stringify(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function sorted(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).sort(([left], [right]) => (left < right ? -1 : 1)));
}
