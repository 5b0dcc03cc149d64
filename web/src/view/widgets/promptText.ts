/** Prompts as weighted segments, near enough to colour them while a person types; the server knows exactly. */

export interface Segment {
  readonly text: string;
  readonly weight: number;
}

const STRONGER = 1.1;
/** A text encoder of the CLIP family reads 77 tokens at once, two of which mark start and end. */
export const CHUNK_TOKENS = 75;

/** The prompt cut where the weight changes; together the texts are the prompt again, brackets included. */
export function segments(prompt: string): readonly Segment[] {
  const cuts: Segment[] = [];
  const open: { readonly at: number; readonly factor: number }[] = [];
  const weights = new Float64Array(prompt.length).fill(1);
  for (let at = 0; at < prompt.length; at++) {
    const letter = prompt[at];
    if (letter === "\\") at++;
    else if (letter === "(") open.push({ at, factor: STRONGER });
    else if (letter === "[") open.push({ at, factor: 1 / STRONGER });
    else if (letter === ")" || letter === "]") {
      const from = open.pop();
      if (from)
        scale(weights, from.at, at, letter === ")" ? (explicit(prompt, from.at, at) ?? from.factor) : from.factor);
    }
  }
  for (let at = 0, from = 0; at < prompt.length; at++) {
    if (weights[at + 1] === weights[at] && at + 1 < prompt.length) continue;
    cuts.push({ text: prompt.slice(from, at + 1), weight: Math.round((weights[at] ?? 1) * 1000) / 1000 });
    from = at + 1;
  }
  return cuts;
}

/** About how many tokens a prompt is: words, parts of long words, and signs. */
export function approximateTokens(prompt: string): number {
  const words =
    prompt
      .replace(/:[\d.]+(?=\))/g, "")
      .replace(/[()[\]\\]/g, "")
      .match(/[\p{L}\p{M}]+|\p{N}|[^\s\p{L}\p{M}\p{N}]+/gu) ?? [];
  return words.reduce((sum, word) => sum + Math.max(1, Math.ceil(word.length / 8)), 0);
}

/** The prompt with the weight of `start..end` moved by `step`: what Ctrl+Up and Ctrl+Down do. */
export function reweigh(
  prompt: string,
  start: number,
  end: number,
  step: number,
): { readonly text: string; readonly start: number; readonly end: number } {
  const [from, to] = start === end ? wordAt(prompt, start) : [start, end];
  if (from === to) return { text: prompt, start, end };
  const before = /\(([^()]*)$/.exec(prompt.slice(0, from));
  const after = /^([^()]*?):([\d.]+)\)/.exec(prompt.slice(to));
  if (before?.[1] === "" && after?.[1] === "")
    return replaced(prompt, from, to, Number(after[2]) + step, 1, after[0].length);
  return replaced(prompt, from, to, 1 + step, 0, 0);
}

function replaced(prompt: string, from: number, to: number, weight: number, opened: number, closed: number) {
  const words = prompt.slice(from, to);
  const rounded = Math.round(Math.max(0, weight) * 100) / 100;
  const inner = rounded === 1 ? words : `(${words}:${rounded})`;
  const text = prompt.slice(0, from - opened) + inner + prompt.slice(to + closed);
  const start = from - opened + (rounded === 1 ? 0 : 1);
  return { text, start, end: start + words.length };
}

function wordAt(prompt: string, at: number): [number, number] {
  const left = /[\p{L}\p{N}_-]*$/u.exec(prompt.slice(0, at))?.[0].length ?? 0;
  const right = /^[\p{L}\p{N}_-]*/u.exec(prompt.slice(at))?.[0].length ?? 0;
  return [at - left, at + right];
}

function explicit(prompt: string, from: number, to: number): number | null {
  const found = /:\s*([\d.]+)\s*$/.exec(prompt.slice(from, to));
  return found ? Number(found[1]) : null;
}

function scale(weights: Float64Array, from: number, to: number, factor: number): void {
  for (let at = from; at <= to; at++) weights[at] = (weights[at] ?? 1) * factor;
}
