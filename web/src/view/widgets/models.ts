/** Model references: those on the server's machine, those used in this browser, and what makes one readable. */

import type { InstalledModel } from "../../api/types";

const KEY = "sdgraph.models";
const MOST = 30;
/** Real architectures with random weights: for trying out what a large model needs. */
const SYNTHETIC: readonly string[] = ["sd15", "sd21", "sdxl", "sd3", "flux"].map((family) => `synthetic:${family}`);
const HUB = /^hf:[\w.-]+\/[\w.-]+(@[\w./-]+)?$/;
const SCHEME = /^(builtin|synthetic|hf|https?):/;

/** What is wrong with a reference, in words; null when it can be one. Whether it is there, the server knows. */
export function modelProblem(reference: string): string | null {
  if (reference === "") return "Name a model: builtin:shapes, hf:org/name, or a path.";
  if (/^https?:/.test(reference)) return "Addresses are not read. Use hf:org/name, or a path on the server.";
  if (reference.startsWith("hf:") && !HUB.test(reference)) return "Write hf:org/name, or hf:org/name@revision.";
  const ending = SCHEME.test(reference) ? "" : /\.(\w+)$/.exec(reference)?.[1];
  return ending && ["ckpt", "pt", "bin", "pth"].includes(ending)
    ? "Files that can run code are not read. Use .safetensors or a diffusers folder."
    : null;
}

/** Kinds of model by a word in the type of the node that loads them, the more telling words first. */
const KINDS: readonly (readonly [string, readonly string[]])[] = [
  ["text_encoder", ["text_encoder", "checkpoint"]],
  ["image_encoder", ["image_encoder"]],
  ["ip_adapter", ["ip_adapter"]],
  ["t2i_adapter", ["t2i_adapter"]],
  ["embedding", ["embedding"]],
  ["lora", ["lora"]],
  ["vae", ["vae", "checkpoint"]],
  ["checkpoint", ["checkpoint"]],
  ["control.load", ["controlnet"]],
];

/** The kinds of model that a type of node loads; null: those that no other node does. */
export function kindsOf(nodeType: string): readonly string[] {
  return KINDS.find(([word]) => nodeType.includes(word))?.[1] ?? ["other"];
}

/** What a port offers: its default, what is installed and can be loaded there, what was used, the synthetic ones. */
export function offered(
  nodeType: string,
  fallback: string,
  installed: readonly InstalledModel[],
  used: readonly string[],
): readonly string[] {
  const kinds = kindsOf(nodeType);
  const fitting = installed.filter((model) => kinds.includes(model.kind)).map((model) => model.source);
  const elsewhere = new Set(installed.map((model) => model.source));
  const own = used.filter((source) => !elsewhere.has(source));
  const synthetic = kinds.includes("checkpoint") ? SYNTHETIC : [];
  return [...new Set([fallback, ...fitting, ...own, ...synthetic].filter(Boolean))];
}

const listeners = new Set<() => void>();
let used: readonly string[] = stored();
let installed: readonly InstalledModel[] = [];
let asked_ms = Number.NEGATIVE_INFINITY;
/** Models come and go seldom; a list that is opened looks again after this time. */
const FRESH_MS = 20_000;

function tell(): void {
  for (const listener of listeners) listener();
}

export const models = {
  used: (): readonly string[] => used,
  installed: (): readonly InstalledModel[] => installed,
  remember(reference: string): void {
    if (reference === "" || used.includes(reference) || modelProblem(reference) !== null) return;
    used = [...used, reference].slice(-MOST);
    keep(used);
    tell();
  },
  /** Ask what is installed, unless that was done a moment ago. Where nobody answers, what was known stays. */
  async refresh(ask: () => Promise<{ readonly models: readonly InstalledModel[] }>, now_ms: number): Promise<void> {
    if (now_ms - asked_ms < FRESH_MS) return;
    asked_ms = now_ms;
    try {
      installed = (await ask()).models;
      tell();
    } catch {
      asked_ms = Number.NEGATIVE_INFINITY;
    }
  },
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

function stored(): readonly string[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter((one) => typeof one === "string") : [];
  } catch {
    return [];
  }
}

function keep(references: readonly string[]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(references));
  } catch {
    // A browser that stores nothing forgets them with the window.
  }
}
