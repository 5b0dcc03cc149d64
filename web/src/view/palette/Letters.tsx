/** A text with the letters that a search found set off. */

import styles from "./Palette.module.css";

export function Letters({ text, at }: { readonly text: string; readonly at: readonly number[] }) {
  const found = new Set(at);
  const runs: { readonly start: number; text: string; readonly found: boolean }[] = [];
  for (const [place, letter] of Array.from(
    { length: text.length },
    (_, index) => [index, text[index] ?? ""] as const,
  )) {
    const last = runs.at(-1);
    if (last !== undefined && last.found === found.has(place)) last.text += letter;
    else runs.push({ start: place, text: letter, found: found.has(place) });
  }
  return runs.map((run) =>
    run.found ? (
      <mark key={run.start} className={styles.letter}>
        {run.text}
      </mark>
    ) : (
      run.text
    ),
  );
}
