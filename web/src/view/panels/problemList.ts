/** Problems in the order in which people deal with them, each once. */

import type { Problem } from "../../model/problem";

export function listed(problems: readonly Problem[]): readonly Problem[] {
  const key = (one: Problem) => `${one.code} ${one.node ?? ""} ${one.port ?? ""} ${one.message}`;
  const once = [...new Map(problems.map((one) => [key(one), one])).values()];
  const rank = (one: Problem) => (one.severity === "warning" ? 1 : 0);
  return once.sort((left, right) => rank(left) - rank(right));
}

/** `sample.guidance`, or only the node; "" for the workflow as a whole. */
export function placeOf(problem: Problem): string {
  if (!problem.node) return "";
  return problem.port ? `${problem.node}.${problem.port}` : problem.node;
}

/** "2 errors, 1 warning"; "" when there is nothing. */
export function tally(problems: readonly Problem[]): string {
  const warnings = problems.filter((one) => one.severity === "warning").length;
  const errors = problems.length - warnings;
  const counted = (count: number, word: string) => (count === 0 ? [] : [`${count} ${word}${count === 1 ? "" : "s"}`]);
  return [...counted(errors, "error"), ...counted(warnings, "warning")].join(", ");
}
