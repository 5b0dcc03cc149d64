import { expect, test } from "vitest";
import { distanceAt, farther } from "./distance";

test("less is drawn of nodes the smaller they are", () => {
  expect([2.5, 1, 0.4, 0.39, 0.28, 0.27, 0.05].map(distanceAt)).toEqual([
    "near",
    "near",
    "near",
    "far",
    "far",
    "tiny",
    "tiny",
  ]);
});

test("of two distances the one counts at which less can be made out", () => {
  expect(farther("near", "tiny")).toBe("tiny");
  expect(farther("tiny", "far")).toBe("tiny");
  expect(farther("near", "near")).toBe("near");
});
