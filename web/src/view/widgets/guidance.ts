/** Courses of guidance: the same formulas as `sdgraph.diffusion.guidance_schedule`, for drawing them. */

export type Point = readonly [progress: number, scale: number];

export type Guidance =
  | { readonly kind: "constant"; readonly scale?: number }
  | { readonly kind: "linear" | "cosine"; readonly start: number; readonly end: number }
  | { readonly kind: "piecewise"; readonly points: readonly Point[] }
  | {
      readonly kind: "interval";
      readonly scale: number;
      readonly start?: number;
      readonly end?: number;
      readonly sigma_low?: number | null;
      readonly sigma_high?: number | null;
    };

export type GuidanceKind = Guidance["kind"];

export const KINDS: readonly { readonly kind: GuidanceKind; readonly label: string; readonly help: string }[] = [
  { kind: "constant", label: "Constant", help: "The same scale at every step." },
  { kind: "linear", label: "Linear", help: "A straight line from the first step to the last." },
  { kind: "cosine", label: "Cosine", help: "Slow at both ends, quick in the middle." },
  {
    kind: "piecewise",
    label: "Points",
    help: "Straight lines between points: double-click or + adds one, Delete removes it.",
  },
  { kind: "interval", label: "Interval", help: "Guided inside an interval; outside the scale is 1, at half the cost." },
];

/** Where a guidance without a scale of its own starts; `ConstantGuidance.scale` in sdgraph. */
export const USUAL_SCALE = 7.5;
const UNGUIDED = 1;

/** The scale at `progress` 0..1 of a stage. Bounds of sigma play no part: what sigma is depends on the model. */
export function scaleAt(guidance: Guidance, progress: number): number {
  switch (guidance.kind) {
    case "constant":
      return guidance.scale ?? USUAL_SCALE;
    case "linear":
      return guidance.start + (guidance.end - guidance.start) * progress;
    case "cosine":
      return guidance.end + ((guidance.start - guidance.end) * (1 + Math.cos(Math.PI * progress))) / 2;
    case "piecewise":
      return onLines(guidance.points, progress);
    case "interval": {
      const inside = progress >= (guidance.start ?? 0) && progress <= (guidance.end ?? 1);
      return inside ? guidance.scale : UNGUIDED;
    }
  }
}

/** The same course, as near as another kind can come. */
export function turnInto(guidance: Guidance, kind: GuidanceKind): Guidance {
  const [first, last] = [scaleAt(guidance, 0), scaleAt(guidance, 1)];
  switch (kind) {
    case "constant":
      return { kind, scale: first };
    case "linear":
    case "cosine":
      return { kind, start: first, end: last };
    case "piecewise":
      return { kind, points: sampled(guidance) };
    case "interval":
      return { kind, scale: Math.max(first, scaleAt(guidance, 0.5), last), start: 0.2, end: 0.8 };
  }
}

/** The points that a person can drag. */
export function handlesOf(guidance: Guidance): readonly Point[] {
  switch (guidance.kind) {
    case "constant":
      return [[0.5, scaleAt(guidance, 0.5)]];
    case "linear":
    case "cosine":
      return [
        [0, guidance.start],
        [1, guidance.end],
      ];
    case "piecewise":
      return guidance.points;
    case "interval":
      return [
        [guidance.start ?? 0, guidance.scale],
        [guidance.end ?? 1, guidance.scale],
      ];
  }
}

/** The course after handle `index` was dragged to `to`; neighbours keep their order. */
export function dragHandle(guidance: Guidance, index: number, to: Point): Guidance {
  const [progress, scale] = [tidy(between(to[0], 0, 1)), tidy(to[1])];
  switch (guidance.kind) {
    case "constant":
      return { ...guidance, scale };
    case "linear":
    case "cosine":
      return index === 0 ? { ...guidance, start: scale } : { ...guidance, end: scale };
    case "piecewise":
      return { ...guidance, points: moved(guidance.points, index, [progress, scale]) };
    case "interval":
      return index === 0
        ? { ...guidance, scale, start: Math.min(progress, guidance.end ?? 1) }
        : { ...guidance, scale, end: Math.max(progress, guidance.start ?? 0) };
  }
}

/** A point more, where the course is; other kinds become points first. */
export function addPoint(guidance: Guidance, to: Point): Guidance {
  const points = guidance.kind === "piecewise" ? guidance.points : sampled(guidance);
  const added: Point = [tidy(between(to[0], 0, 1)), tidy(to[1])];
  return { kind: "piecewise", points: [...points, added].sort((left, right) => left[0] - right[0]) };
}

/** A point more, half-way from handle `index` to the next one, or to the one before from the last. */
export function addBeside(guidance: Guidance, index: number): Guidance {
  const handles = handlesOf(guidance);
  const [here = 0.5, next = handles[index - 1]?.[0] ?? 1] = [handles[index]?.[0], handles[index + 1]?.[0]];
  const middle = (here + next) / 2;
  return addPoint(guidance, [middle, scaleAt(guidance, middle)]);
}

/** A point less; the last one stays. */
export function removePoint(guidance: Guidance, index: number): Guidance {
  if (guidance.kind !== "piecewise" || guidance.points.length < 2) return guidance;
  return { ...guidance, points: guidance.points.filter((_, at) => at !== index) };
}

/** A short name of a course, for where there is no room for a curve. */
export function summary(guidance: Guidance): string {
  switch (guidance.kind) {
    case "constant":
      return `${tidy(scaleAt(guidance, 0))}`;
    case "linear":
    case "cosine":
      return `${tidy(guidance.start)} → ${tidy(guidance.end)} ${guidance.kind}`;
    case "piecewise":
      return `${guidance.points.length} points`;
    case "interval":
      return `${tidy(guidance.scale)} in ${tidy(guidance.start ?? 0)}–${tidy(guidance.end ?? 1)}`;
  }
}

function onLines(points: readonly Point[], progress: number): number {
  const [first] = points;
  if (!first) return USUAL_SCALE;
  if (progress < first[0]) return first[1];
  for (let at = points.length - 1; at > 0; at--) {
    const [from, to] = [points[at - 1] as Point, points[at] as Point];
    if (progress >= to[0]) return to[1];
    if (progress >= from[0]) return from[1] + ((to[1] - from[1]) * (progress - from[0])) / (to[0] - from[0]);
  }
  return first[1];
}

function sampled(guidance: Guidance): readonly Point[] {
  if (guidance.kind === "piecewise") return guidance.points;
  const places = guidance.kind === "cosine" ? [0, 0.25, 0.5, 0.75, 1] : [0, 0.5, 1];
  return places.map((place) => [place, tidy(scaleAt(guidance, place))]);
}

function moved(points: readonly Point[], index: number, to: Point): readonly Point[] {
  const low = points[index - 1]?.[0] ?? 0;
  const high = points[index + 1]?.[0] ?? 1;
  return points.map((point, at) => (at === index ? [between(to[0], low, high), to[1]] : point));
}

function between(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

function tidy(value: number): number {
  return Math.round(value * 100) / 100;
}
