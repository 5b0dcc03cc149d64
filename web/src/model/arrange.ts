/** Aligning and distributing boxes. Each gives the places of those that move. */

import type { Dict } from "./json";
import type { Box, Point } from "./view";

export type Alignment = "left" | "centre" | "right" | "top" | "middle" | "bottom";
export type Axis = "horizontal" | "vertical";

/** Places at which the boxes share an edge or a centre line with the box around all of them. */
export function align(boxes: Dict<Box>, how: Alignment): Dict<Point> {
  const all = Object.values(boxes);
  const left = Math.min(...all.map((box) => box.x));
  const top = Math.min(...all.map((box) => box.y));
  const right = Math.max(...all.map((box) => box.x + box.width));
  const bottom = Math.max(...all.map((box) => box.y + box.height));
  const place: Record<Alignment, (box: Box) => Point> = {
    left: (box) => ({ x: left, y: box.y }),
    centre: (box) => ({ x: (left + right - box.width) / 2, y: box.y }),
    right: (box) => ({ x: right - box.width, y: box.y }),
    top: (box) => ({ x: box.x, y: top }),
    middle: (box) => ({ x: box.x, y: (top + bottom - box.height) / 2 }),
    bottom: (box) => ({ x: box.x, y: bottom - box.height }),
  };
  return Object.fromEntries(Object.entries(boxes).map(([id, box]) => [id, place[how](box)]));
}

/** Places at which the gaps between the boxes are equal; the first and the last stay. */
export function distribute(boxes: Dict<Box>, axis: Axis): Dict<Point> {
  const start = (box: Box) => (axis === "horizontal" ? box.x : box.y);
  const length = (box: Box) => (axis === "horizontal" ? box.width : box.height);
  const sorted = Object.entries(boxes).sort(([, a], [, b]) => start(a) - start(b));
  const [first, last] = [sorted[0]?.[1], sorted.at(-1)?.[1]];
  if (first === undefined || last === undefined || sorted.length < 3) return {};
  const taken = sorted.reduce((sum, [, box]) => sum + length(box), 0);
  const gap = (start(last) + length(last) - start(first) - taken) / (sorted.length - 1);
  let next = start(first);
  return Object.fromEntries(
    sorted.map(([id, box]) => {
      const at = next;
      next += length(box) + gap;
      return [id, axis === "horizontal" ? { x: at, y: box.y } : { x: box.x, y: at }];
    }),
  );
}
