import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fitted, nudge, numberProblem, parseNumber, rangeOf, shown, slides } from "./numbers";
import { bend, NOTCHES, notchOf, valueAt } from "./scale";

const steps = rangeOf({ type: "integer", minimum: 1, maximum: 1000 });
const edge = rangeOf({ type: "integer", minimum: 16, maximum: 8192, multipleOf: 8 });
const guidance = rangeOf({ type: "number", minimum: 0, maximum: 100 });
const seed = rangeOf({ type: "integer", minimum: 0, maximum: 2 ** 53 - 1 });
const share = rangeOf({ type: "number", exclusiveMinimum: 0, maximum: 1 });

describe("a number", () => {
  it.each([
    ["512", 512],
    ["7,5", 7.5],
    ["512+64", 576],
    ["1024/2", 512],
    ["64 x 12", 768],
    ["-1", -1],
  ])("reads %s as %d", (text, value) => expect(parseNumber(text)).toBe(value));

  it.each(["", "abc", "1+", "."])("does not read %o", (text) => expect(parseNumber(text)).toBeNaN());

  it("says in words what is wrong", () => {
    expect(numberProblem(0, steps)).toBe("Must be at least 1.");
    expect(numberProblem(9000, edge, "px")).toBe("Must be at most 8192 px.");
    expect(numberProblem(20, edge)).toBe("Must be a multiple of 8.");
    expect(numberProblem(0, share)).toBe("Must be more than 0.");
    expect(numberProblem(1.5, steps)).toBe("Enter a whole number.");
    expect(numberProblem(512, edge)).toBeNull();
  });

  it("fits into its range whatever it was", () => {
    fc.assert(
      fc.property(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.constantFrom(steps, edge, guidance, seed, share),
        (value, range) => {
          expect(numberProblem(fitted(value, range), range)).toBeNull();
        },
      ),
    );
  });

  it("steps by its step, by ten with Shift, by a tenth with Alt", () => {
    expect(nudge(512, 1, edge)).toBe(520);
    expect(nudge(512, -1, edge, 10)).toBe(432);
    expect(nudge(7.5, 1, guidance)).toBe(7.6);
    expect(nudge(7.5, 1, guidance, 0.1)).toBe(7.51);
    expect(nudge(1, -1, steps)).toBe(1);
  });

  it("is shown without the noise of binary fractions", () => expect(shown(0.1 + 0.2)).toBe("0.3"));

  it("has no slider when there are too many places to aim at", () => {
    expect(slides(guidance)).toBe(true);
    expect(slides(seed)).toBe(false);
    expect(slides(rangeOf({ type: "number", minimum: 0 }))).toBe(false);
  });
});

describe("a bent slider", () => {
  const range = { ...guidance, low: 0, high: 100 };
  const exponent = bend(range, 7.5);

  it("puts the usual value where it can be reached", () => {
    expect(notchOf(7.5, range, exponent)).toBe(400);
    expect(bend(range, 50)).toBe(1);
  });

  it("gives back every value that it can show, to a notch", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: NOTCHES }), (notch) => {
        const value = valueAt(notch, range, exponent);
        expect(valueAt(notchOf(value, range, exponent), range, exponent)).toBeCloseTo(value, -0.5);
      }),
    );
    expect([valueAt(0, range, exponent), valueAt(NOTCHES, range, exponent)]).toEqual([0, 100]);
  });
});
