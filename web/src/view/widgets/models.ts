/** Model references: those that ship, those that were used in this browser, and what makes one readable. */

const KEY = "sdgraph.models";
const MOST = 30;
const SHIPPED: readonly string[] = [
  "builtin:shapes",
  "synthetic:sd15",
  "synthetic:sd21",
  "synthetic:sdxl",
  "synthetic:sd3",
  "synthetic:flux",
];
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

const listeners = new Set<() => void>();
let known: readonly string[] = [...new Set([...SHIPPED, ...stored()])];

export const models = {
  list: (): readonly string[] => known,
  remember(reference: string): void {
    if (reference === "" || known.includes(reference) || modelProblem(reference) !== null) return;
    known = [...known, reference].slice(-MOST);
    keep(known.filter((one) => !SHIPPED.includes(one)));
    for (const listener of listeners) listener();
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
