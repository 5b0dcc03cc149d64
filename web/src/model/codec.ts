/** Documents from JSON of any origin, and back to the file's canonical text. */

import { type GraphEntry, SCHEMA, type WorkflowDocument } from "./document";
import type { Problem } from "./problem";

export type Read =
  | { readonly ok: true; readonly document: WorkflowDocument }
  | { readonly ok: false; readonly problem: Problem };

/** A document from parsed JSON. What the editor can't show safely is refused; the server checks the rest. */
export function readDocument(data: unknown): Read {
  if (!isRecord(data)) return refuse("not-a-workflow", "A workflow is a JSON object.");
  const { schema } = data;
  if (schema !== SCHEMA) {
    const newer = typeof schema === "string" && /^sdgraph\/workflow@\d+$/.test(schema);
    const found = `found ${JSON.stringify(schema)?.slice(0, 60) ?? "none"}`;
    return newer
      ? refuse("schema-newer", `The workflow has another schema version: ${found}.`, "Update sdgraph.")
      : refuse("schema-unknown", `A workflow has "schema": "${SCHEMA}"; ${found}.`, "Import it first.");
  }
  const graphs = data["graphs"] ?? {};
  if (!isRecord(graphs)) return wrong("graphs");
  for (const [place, graph] of [["", data], ...Object.entries(graphs)] as const) {
    const field = fieldProblem(graph);
    if (field !== null) return wrong(place === "" ? field : `graphs.${place}.${field}`);
  }
  if (data["view"] !== undefined && !isRecord(data["view"])) return wrong("view");
  return { ok: true, document: data as unknown as WorkflowDocument };
}

/** The canonical text: names sorted, empty parts left out, two spaces, a final newline; as `sdgraph check --fix`. */
export function canonicalText(doc: WorkflowDocument): string {
  return `${JSON.stringify(sorted(tidied(doc)), null, 2)}\n`;
}

/** The document without empty parts, in which equal workflows are equal. */
export function tidied(doc: WorkflowDocument): WorkflowDocument {
  const graphs =
    doc.graphs && Object.fromEntries(Object.entries(doc.graphs).map(([name, graph]) => [name, tidyGraph(graph)]));
  return tidy({ ...tidyGraph(doc), ...(graphs && { graphs }) }, ["nodes"]) as unknown as WorkflowDocument;
}

function tidyGraph<T extends GraphEntry>(graph: T): T {
  const nodes = Object.fromEntries(Object.entries(graph.nodes).map(([id, node]) => [id, tidy(node, [])]));
  return tidy({ ...graph, nodes }, ["nodes"]) as T;
}

function tidy(record: object, kept: readonly string[]): object {
  return Object.fromEntries(Object.entries(record).filter(([name, value]) => kept.includes(name) || !isEmpty(value)));
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "") return true;
  return isRecord(value) && Object.keys(value).length === 0;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  const names = Object.keys(value).sort(byCodePoint);
  // Pairs, because a node may be called "__proto__".
  return Object.fromEntries(names.map((name) => [name, sorted(value[name])]));
}

function byCodePoint(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The first field of a graph that has not the form that the editor relies on. */
function fieldProblem(graph: unknown): string | null {
  if (!isRecord(graph)) return "nodes";
  const nodes = graph["nodes"] ?? {};
  if (!isRecord(nodes)) return "nodes";
  for (const [id, node] of Object.entries(nodes)) {
    if (!isRecord(node) || typeof node["type"] !== "string") return `nodes.${id}.type`;
    if (node["values"] !== undefined && !isRecord(node["values"])) return `nodes.${id}.values`;
    if (!isTexts(node["links"] ?? {})) return `nodes.${id}.links`;
  }
  if (!isTexts(graph["outputs"] ?? {})) return "outputs";
  const inputs = graph["inputs"] ?? {};
  const isTargets = (found: unknown) => typeof found === "string" || (Array.isArray(found) && found.every(isText));
  return isRecord(inputs) && Object.values(inputs).every(isTargets) ? null : "inputs";
}

function isText(found: unknown): boolean {
  return typeof found === "string";
}

function isTexts(found: unknown): boolean {
  return isRecord(found) && Object.values(found).every(isText);
}

function isRecord(found: unknown): found is Record<string, unknown> {
  return typeof found === "object" && found !== null && !Array.isArray(found);
}

function wrong(field: string): Read {
  return refuse("field-invalid", `The field \`${field}\` of the workflow has not the form expected.`, "Correct it.");
}

function refuse(code: string, message: string, hint?: string): Read {
  return { ok: false, problem: { code, message, ...(hint === undefined ? {} : { hint }) } };
}
