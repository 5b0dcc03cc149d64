import { describe, expect, it } from "vitest";
import { numbersIn } from "./ListWidget";
import { modelProblem } from "./models";
import { matching } from "./SearchSelect";
import { add, EMPTY, extend, redo, type Stroke, undo } from "./strokes";

const stroke: Stroke = { mode: "paint", width_px: 8, softness: 0, points: [[1, 1]] };

describe("a painted mask", () => {
  it("is what it was before after undo, and again after redo", () => {
    const drawn = extend(add(add(EMPTY, stroke), { mode: "invert" }), [2, 2]);
    expect(redo(undo(drawn))).toEqual(drawn);
    expect(undo(undo(undo(drawn))).edits).toEqual([]);
  });

  it("forgets what was undone when something else is painted", () => {
    expect(redo(add(undo(add(EMPTY, stroke)), { mode: "clear" })).edits).toEqual([{ mode: "clear" }]);
  });

  it("grows the stroke that is being drawn", () => {
    expect(extend(add(EMPTY, stroke), [2, 3]).edits).toEqual([
      {
        ...stroke,
        points: [
          [1, 1],
          [2, 3],
        ],
      },
    ]);
    expect(extend(EMPTY, [2, 3])).toBe(EMPTY);
  });
});

describe("what is typed or pasted", () => {
  it("reads lists of numbers however they are separated", () =>
    expect(numbersIn("1, 2;3\n 4.5 x")).toEqual([1, 2, 3, 4.5]));

  it("finds options by any part, beginnings first", () => {
    expect(matching(["dpmpp_2m", "unipc", "2m"], "2m")).toEqual(["2m", "dpmpp_2m"]);
    expect(matching(["euler_ancestral"], "euler anc")).toEqual(["euler_ancestral"]);
  });

  it.each([
    ["builtin:shapes", true],
    ["hf:org/name@main", true],
    ["models/a.safetensors", true],
    ["hf:name", false],
    ["https://example.org/a", false],
    ["model.ckpt", false],
    ["", false],
  ])("can take %s as a model: %s", (reference, fine) => expect(modelProblem(reference) === null).toBe(fine));
});
