/** Fuzzy search: the letters of the query in order, with words and runs of letters worth more. */

export interface Match {
  /** Higher is better. */
  readonly score: number;
  /** Positions of the letters found, for highlighting. */
  readonly at: readonly number[];
}

const RUN = 6;
const WORD = 5;
const START = 4;
const GAP = -0.15;

/**
 * The best match of a query in a text, or null. A dynamic programme over (letter of the query, position in the text), as in
 * fuzzy finders: each letter scores by whether it begins a word or follows the letter before it.
 */
export function match(query: string, text: string): Match | null {
  const letters = [...query.toLowerCase()].filter((letter) => letter.trim() !== "");
  const lower = text.toLowerCase();
  if (letters.length === 0) return { score: 0, at: [] };
  let before: (Match | null)[] = [];
  for (const [index, letter] of letters.entries()) {
    const now: (Match | null)[] = new Array(text.length).fill(null);
    let best: Match | null = null;
    for (let place = 0; place < text.length; place++) {
      if (index > 0 && place > 0) best = better(best, before[place - 1] ?? null);
      if (lower[place] !== letter) continue;
      const bonus = beginsWord(text, place) ? WORD : 0;
      if (index === 0) {
        now[place] = { score: 1 + bonus + (place === 0 ? START : 0), at: [place] };
        continue;
      }
      const last = before[place - 1] ?? null;
      const run = last === null ? null : { score: last.score + 1 + bonus + RUN, at: [...last.at, place] };
      const gap = best === null ? null : (place - (best.at.at(-1) ?? 0)) * GAP;
      const jump =
        best === null || gap === null ? null : { score: best.score + 1 + bonus + gap, at: [...best.at, place] };
      now[place] = better(run, jump);
    }
    before = now;
  }
  const found = before.reduce(better, null);
  // Of two texts with the same letters the shorter one is meant.
  return found === null ? null : { ...found, score: found.score - text.length * 0.05 };
}

function better(a: Match | null, b: Match | null): Match | null {
  if (a === null) return b;
  return b === null || a.score >= b.score ? a : b;
}

function beginsWord(text: string, place: number): boolean {
  const [before, here] = [text[place - 1], text[place] ?? ""];
  if (before === undefined) return true;
  return !/[\p{L}\p{N}]/u.test(before) || (/\p{Lu}/u.test(here) && !/\p{Lu}/u.test(before));
}
