import { describe, expect, test } from "vitest";
import { curveOf, distanceInside } from "./curve";

const LINE = curveOf("M0,0 C100,0 200,0 300,0");
const S = curveOf("M0,0 C150,0 -50.5,100 1e2,100");

describe("the curve of a link", () => {
  test("is read from its path", () => {
    expect(S).toEqual([
      { x: 0, y: 0 },
      { x: 150, y: 0 },
      { x: -50.5, y: 100 },
      { x: 100, y: 100 },
    ]);
    expect(curveOf("M0,0 L10,10")).toBeNull();
    expect(curveOf("M0,0 C1,1 2,2 3,3 C4,4 5,5 6,6")).toBeNull();
    expect(curveOf("")).toBeNull();
  });

  test("passes a node when it goes through its box, and as near as it comes there", () => {
    if (LINE === null) throw new Error("a path of one segment");
    const box = { x: 100, y: -20, width: 60, height: 60 };
    expect(distanceInside(LINE, box, { x: 130, y: 10 })).toBeCloseTo(10, 0);
    expect(distanceInside(LINE, box, { x: 130, y: 0 })).toBeLessThan(4);
    expect(distanceInside(LINE, { ...box, y: 1 }, { x: 130, y: 10 })).toBeNull();
    expect(distanceInside(LINE, { ...box, x: 301 }, { x: 310, y: 0 })).toBeNull();
  });

  test("passes no node that lies only in the box around it", () => {
    if (S === null) throw new Error("a path of one segment");
    expect(distanceInside(S, { x: 0, y: 60, width: 10, height: 30 }, { x: 5, y: 70 })).toBeNull();
    expect(distanceInside(S, { x: 40, y: 40, width: 20, height: 20 }, { x: 50, y: 50 })).toBeLessThan(3);
  });
});
