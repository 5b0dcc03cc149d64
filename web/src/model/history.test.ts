import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { drawing } from "../../test/toys";
import { emptyDocument } from "./document";
import { record, redo, settle, startHistory, undo } from "./history";
import { setValue } from "./values";

const at = (at_ms: number, merge?: string) => ({ label: "edit", at_ms, ...(merge === undefined ? {} : { merge }) });

describe("history", () => {
  test("undoing every step and redoing it gives the same documents, whatever was done", () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1, maxLength: 30 }), (seeds) => {
        let history = startHistory(drawing());
        const seen = [history.present];
        for (const [step, seed] of seeds.entries()) {
          history = record(history, setValue(history.present, null, "sample", "seed", seed), at(step));
          if (history.present !== seen.at(-1)) seen.push(history.present);
        }
        for (const document of seen.toReversed()) {
          expect(history.present).toBe(document);
          history = undo(history);
        }
        for (const document of seen) {
          expect(history.present).toBe(document);
          history = redo(history);
        }
      }),
    );
  });

  test("a gesture is one step, and ends with time, with another key, or when it is settled", () => {
    const values = (history: ReturnType<typeof startHistory>, seed: number, change: ReturnType<typeof at>) =>
      record(history, setValue(history.present, null, "sample", "seed", seed), change);
    let history = startHistory(drawing());
    for (let step = 1; step <= 20; step++) history = values(history, 100 + step, at(step * 100, "seed"));
    expect(history.past).toHaveLength(1);
    expect(values(history, 5, at(2100, "steps")).past).toHaveLength(2);
    expect(values(history, 5, at(20_000, "seed")).past).toHaveLength(2);
    expect(values(settle(history), 5, at(2100, "seed")).past).toHaveLength(2);
    expect(undo(history).present.nodes["sample"]?.values?.["seed"]).toBe(7);
  });

  test("a change after undo forgets what was undone", () => {
    const first = record(startHistory(emptyDocument()), drawing(), at(0));
    const other = record(undo(first), setValue(drawing(), null, "sample", "seed", 8), at(1));
    expect(other.future).toEqual([]);
    expect(redo(other)).toBe(other);
  });

  test("the same document is no step", () => {
    const history = startHistory(drawing());
    expect(record(history, history.present, at(0))).toBe(history);
  });

  test("a long history forgets its beginning only", () => {
    let history = startHistory(drawing());
    for (let step = 0; step < 600; step++)
      history = record(history, setValue(history.present, null, "sample", "seed", 1000 + step), at(step));
    expect(history.past).toHaveLength(500);
    expect(history.past.at(-1)?.document.nodes["sample"]?.values?.["seed"]).toBe(1598);
  });
});
