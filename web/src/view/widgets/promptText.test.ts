import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { approximateTokens, reweigh, segments } from "./promptText";

describe("a prompt", () => {
  it("is the same text when its segments are put together", () => {
    const letters = fc.constantFrom("a", "b", " ", "(", ")", "[", "]", ":", "1", ".", "\\");
    fc.assert(
      fc.property(fc.string({ unit: letters, maxLength: 40 }), (prompt) => {
        expect(
          segments(prompt)
            .map((one) => one.text)
            .join(""),
        ).toBe(prompt);
      }),
    );
  });

  it.each([
    ["a (star)", 1.1],
    ["a ((star))", 1.21],
    ["a (star:1.5)", 1.5],
    ["a [star]", 0.909],
  ])("weighs %s", (prompt, weight) => {
    expect(segments(prompt).find((one) => one.text.includes("star"))?.weight).toBe(weight);
  });

  it("leaves escaped and unmatched brackets alone", () => {
    expect(segments("a \\(star\\) (").every((one) => one.weight === 1)).toBe(true);
  });

  it("gains and loses weight word by word", () => {
    const up = reweigh("a red star", 3, 3, 0.1);
    expect(up.text).toBe("a (red:1.1) star");
    const more = reweigh(up.text, up.start, up.end, 0.1);
    expect(more.text).toBe("a (red:1.2) star");
    const back = reweigh(up.text, up.start, up.end, -0.1);
    expect(back.text).toBe("a red star");
    expect("a red star".slice(back.start, back.end)).toBe("red");
  });

  it("counts words and signs, not weights", () => {
    expect(approximateTokens("a large red star, on (blue:1.3)")).toBe(7);
    expect(approximateTokens("")).toBe(0);
  });
});
