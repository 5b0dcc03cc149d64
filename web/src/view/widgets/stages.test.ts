import { describe, expect, it } from "vitest";
import { move, remove, type Stage, spans, split, stepsOf } from "./stages";

const three: readonly Stage[] = [{ steps: 8, until: 0.4 }, { steps: 8, until: 0.8, solver: "dpmpp_2m" }, { steps: 4 }];
const total = (stages: readonly Stage[]) => stages.reduce((sum, stage) => sum + stepsOf(stage), 0);

describe("stages", () => {
  it("cover the way from noise to the picture without gaps", () => {
    expect(spans(three)).toEqual([
      [0, 0.4],
      [0.4, 0.8],
      [0.8, 1],
    ]);
    expect(spans([{}, {}, {}, {}]).map(([, to]) => to)).toEqual([0.25, 0.5, 0.75, 1]);
  });

  it("split without changing how many steps there are", () => {
    const more = split(three, 1);
    expect(more).toHaveLength(4);
    expect(total(more)).toBe(total(three));
    expect(more[1]).toEqual({ steps: 4, until: 0.6, solver: "dpmpp_2m" });
    expect(more[2]).toEqual({ steps: 4, until: 0.8, solver: "dpmpp_2m" });
  });

  it("never become none, and the last one states no end", () => {
    expect(remove([{}], 0)).toEqual([{}]);
    expect(remove(three, 2).at(-1)).toEqual({ steps: 8, solver: "dpmpp_2m" });
  });

  it("move what they do, not where they end", () => {
    const moved = move(three, 0, 1);
    expect(moved.map((stage) => stage["until"])).toEqual([0.4, 0.8, undefined]);
    expect(moved[0]).toMatchObject({ solver: "dpmpp_2m" });
    expect(move(three, 0, -1)).toBe(three);
  });
});
