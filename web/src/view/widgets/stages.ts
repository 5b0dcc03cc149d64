/** The list of stages of the staged sampler, and edits of it. */

import type { Json } from "../../model/json";
import type { Guidance } from "./guidance";

/** A stage as the file has it; what is left out has its default. */
export type Stage = { readonly [field: string]: Json };

export const DEFAULT_STEPS = 20;
const DEFAULT_SOLVER = "euler";

export function stepsOf(stage: Stage): number {
  return typeof stage["steps"] === "number" ? stage["steps"] : DEFAULT_STEPS;
}

export function solverOf(stage: Stage): string {
  return typeof stage["solver"] === "string" ? stage["solver"] : DEFAULT_SOLVER;
}

export function guidanceOf(stage: Stage): Guidance {
  return (stage["guidance"] as unknown as Guidance | undefined) ?? { kind: "constant" };
}

/** Where a stage ends on the way from noise (0) to the picture (1); null when it says so by a sigma, or not at all. */
export function untilOf(stage: Stage): number | null {
  return typeof stage["until"] === "number" ? stage["until"] : null;
}

/** Start and end of every stage as shares of the way: stated ends as they are, those between spread evenly. */
export function spans(stages: readonly Stage[]): readonly (readonly [number, number])[] {
  const ends = stages.map(untilOf);
  if (ends.length > 0) ends[ends.length - 1] = 1;
  let from = 0;
  return ends.map((end, at) => {
    const to = end ?? spread(ends, at, from);
    const span = [from, Math.max(from, to)] as const;
    from = span[1];
    return span;
  });
}

/** A stage after `at`: it takes the second half of that stage's way, and its settings. */
export function split(stages: readonly Stage[], at: number): readonly Stage[] {
  const stage = stages[at];
  const span = spans(stages)[at];
  if (!stage || !span) return stages;
  const steps = stepsOf(stage);
  const half = Math.max(1, Math.round(steps / 2));
  const middle = Math.round(((span[0] + span[1]) / 2) * 100) / 100;
  const first = { ...stage, steps: half, until: middle };
  const second = { ...stage, steps: Math.max(1, steps - half) };
  return [...stages.slice(0, at), first, second, ...stages.slice(at + 1)];
}

/** Without a stage; the last one ends at the picture, so it states no end. One stage always stays. */
export function remove(stages: readonly Stage[], at: number): readonly Stage[] {
  return stages.length < 2 ? stages : closed(stages.filter((_, place) => place !== at));
}

/** A stage earlier or later. The places where stages end stay; what fills them is exchanged. */
export function move(stages: readonly Stage[], at: number, by: -1 | 1): readonly Stage[] {
  const to = at + by;
  const [one, other] = [stages[at], stages[to]];
  if (!one || !other) return stages;
  const swapped = [...stages];
  swapped[at] = { ...without(other, "until"), ...pick(one, "until") };
  swapped[to] = { ...without(one, "until"), ...pick(other, "until") };
  return swapped;
}

/** One stage changed. */
export function replace(stages: readonly Stage[], at: number, stage: Stage): readonly Stage[] {
  return stages.map((one, place) => (place === at ? stage : one));
}

function closed(stages: readonly Stage[]): readonly Stage[] {
  return stages.map((one, place) => (place === stages.length - 1 ? without(one, "until") : one));
}

function spread(ends: readonly (number | null)[], at: number, from: number): number {
  const next = ends.findIndex((end, place) => place > at && end !== null);
  const to = ends[next] ?? 1;
  return from + (to - from) / (next - at + 1);
}

function without(stage: Stage, field: string): Stage {
  const { [field]: _, ...rest } = stage;
  return rest;
}

function pick(stage: Stage, field: string): Stage {
  const found = stage[field];
  return found === undefined ? {} : { [field]: found };
}
