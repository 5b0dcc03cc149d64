/** The curve of a link, and where it passes a node. */

import type { Box, Point } from "./view";

/** A cubic Bezier curve: its start, two control points and its end. */
export type Curve = readonly [Point, Point, Point, Point];

/** Points of a curve that are looked at: closer to each other than a node is high, however long the link. */
const SAMPLES = 48;

/** The curve of an SVG path of one cubic segment, "M x,y C x,y x,y x,y"; null for any other path. */
export function curveOf(path: string): Curve | null {
  if (!/^M[^A-Za-df-z]*C[^A-Za-df-z]*$/.test(path)) return null;
  const [a, b, c, d, e, f, g, h, ...rest] = (path.match(/-?\d+(?:\.\d+)?(?:e-?\d+)?/g) ?? []).map(Number);
  if (g === undefined || h === undefined || rest.length > 0) return null;
  return [
    { x: a as number, y: b as number },
    { x: c as number, y: d as number },
    { x: e as number, y: f as number },
    { x: g, y: h },
  ];
}

/** How far from `to` a curve comes where it is inside a box; null when it passes beside the box. */
export function distanceInside(curve: Curve, box: Box, to: Point): number | null {
  if (curve.every(({ x }) => x < box.x) || curve.every(({ x }) => x > box.x + box.width)) return null;
  if (curve.every(({ y }) => y < box.y) || curve.every(({ y }) => y > box.y + box.height)) return null;
  const inside = Array.from({ length: SAMPLES + 1 }, (_, step) => pointAt(curve, step / SAMPLES)).filter(
    ({ x, y }) => x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height,
  );
  return inside.length === 0 ? null : Math.min(...inside.map(({ x, y }) => Math.hypot(x - to.x, y - to.y)));
}

/** A point of the curve by de Casteljau's algorithm; `part` is 0 at its start and 1 at its end. */
function pointAt(curve: Curve, part: number): Point {
  let points: readonly Point[] = curve;
  while (points.length > 1)
    points = points.slice(1).map((point, at) => {
      const before = points[at] as Point;
      return { x: before.x + part * (point.x - before.x), y: before.y + part * (point.y - before.y) };
    });
  return points[0] as Point;
}
