import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addBeside,
  addPoint,
  dragHandle,
  type Guidance,
  handlesOf,
  KINDS,
  type Point,
  removePoint,
  scaleAt,
  summary,
  turnInto,
} from "./guidance";

const number = fc.double({ min: 0, max: 30, noNaN: true });
const share = fc.double({ min: 0, max: 1, noNaN: true });
const point = fc.tuple(share, number).map((pair): Point => pair);
const courses: fc.Arbitrary<Guidance> = fc.oneof(
  number.map((scale): Guidance => ({ kind: "constant", scale })),
  fc.tuple(number, number).map(([start, end]): Guidance => ({ kind: "linear", start, end })),
  fc.tuple(number, number).map(([start, end]): Guidance => ({ kind: "cosine", start, end })),
  fc
    .array(point, { minLength: 1, maxLength: 6 })
    .map((points): Guidance => ({ kind: "piecewise", points: points.sort((left, right) => left[0] - right[0]) })),
  fc.tuple(number, share, share).map(
    ([scale, one, other]): Guidance => ({
      kind: "interval",
      scale,
      start: Math.min(one, other),
      end: Math.max(one, other),
    }),
  ),
);

const ascends = (guidance: Guidance) =>
  guidance.kind !== "piecewise" ||
  guidance.points.every((one, at) => at === 0 || one[0] >= (guidance.points[at - 1]?.[0] ?? 0));

describe("a course of guidance", () => {
  it("is what sdgraph computes", () => {
    // The figures of ConstantGuidance, LinearGuidance, ... .scale_at at these places.
    expect(scaleAt({ kind: "constant" }, 0.3)).toBe(7.5);
    expect(scaleAt({ kind: "linear", start: 8, end: 4 }, 0.25)).toBe(7);
    expect(scaleAt({ kind: "cosine", start: 8, end: 4 }, 0.5)).toBeCloseTo(6, 12);
    expect(scaleAt({ kind: "cosine", start: 8, end: 4 }, 0.25)).toBeCloseTo(7.414213562373095, 12);
    const points: readonly Point[] = [
      [0.2, 2],
      [0.5, 8],
      [0.5, 4],
      [0.9, 1],
    ];
    const places = [0, 0.2, 0.35, 0.5, 0.7, 1];
    const scales = places.map((at) => Number(scaleAt({ kind: "piecewise", points }, at).toFixed(12)));
    expect(scales).toEqual([2, 2, 5, 4, 2.5, 1]);
    expect([0.1, 0.2, 0.8, 0.9].map((at) => scaleAt({ kind: "interval", scale: 6, start: 0.2, end: 0.8 }, at))).toEqual(
      [1, 6, 6, 1],
    );
  });

  it("becomes any other kind, and stays in order under any drag", () => {
    fc.assert(
      fc.property(courses, fc.constantFrom(...KINDS), fc.nat(5), point, (course, { kind }, index, to) => {
        const turned = turnInto(course, kind);
        expect(turned.kind).toBe(kind);
        const handle = index % handlesOf(turned).length;
        const dragged = dragHandle(turned, handle, to);
        expect(ascends(dragged)).toBe(true);
        expect(ascends(addPoint(dragged, to))).toBe(true);
        expect(summary(dragged)).not.toContain("NaN");
      }),
    );
  });

  it("keeps its ends when it becomes points", () => {
    fc.assert(
      fc.property(courses, (course) => {
        const points = turnInto(course, "piecewise");
        for (const at of [0, 1]) expect(scaleAt(points, at)).toBeCloseTo(scaleAt(course, at), 1);
      }),
    );
  });

  it.each([0, 1])("gets a point half-way beside point %i", (index) => {
    const line: Guidance = { kind: "linear", start: 4, end: 2 };
    const ends: Guidance = { kind: "piecewise", points: [[0, 4], [1, 2]] }; // biome-ignore format: points in a row
    const middle: Point = [0.5, 3];
    expect(addBeside(ends, index)).toEqual({ kind: "piecewise", points: [[0, 4], middle, [1, 2]] });
    expect(handlesOf(addBeside(line, index))).toHaveLength(4);
  });

  it("keeps its last point", () => {
    const one: Guidance = { kind: "piecewise", points: [[0.5, 3]] };
    expect(removePoint(one, 0)).toBe(one);
  });
});
