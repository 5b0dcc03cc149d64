/** What a node's strip says: a problem, the run, or the plan, in this order. */

import { openGraphName } from "../../model/document";
import { own } from "../../model/json";
import { type Made, madeBy } from "../../model/made";
import { nodePlans, shortTime } from "../../model/nodeplan";
import type { NodePlan, Plan } from "../../model/plan";
import type { Problem } from "../../model/problem";
import type { NodeRun, RunState } from "../../model/runstate";
import { prefixOf } from "../../store/reveal";
import type { EditorState } from "../../store/state";

export type Tone = "none" | "hit" | "run" | "maybe" | "unused" | "running" | "done" | "bad" | "warn";

export interface NodeStatus {
  readonly tone: Tone;
  readonly text: string;
  /** 0..1 while it runs and tells. */
  readonly progress: number | null;
}

const NOTHING: NodeStatus = { tone: "none", text: "", progress: null };

const plans = new WeakMap<Plan, Map<string, Map<string, NodePlan>>>();

/** The prefix of the open graph's nodes in plans and runs; null when they have none. */
export function openPrefix(state: EditorState): string | null {
  return prefixOf(state.history.present, state.path);
}

/** The plan of a node of the open graph. */
export function planOf(state: EditorState, id: string): NodePlan | null {
  const { plan } = state.plan;
  if (plan === null) return null;
  const prefix = openPrefix(state);
  if (prefix === null) return null;
  const known = plans.get(plan) ?? new Map<string, Map<string, NodePlan>>();
  const found = known.get(prefix) ?? nodePlans(plan, prefix);
  plans.set(plan, known.set(prefix, found));
  return found.get(id) ?? null;
}

/** What the shown run says of a node; of one that stands for several what they come to. */
export function runOf(state: EditorState, id: string): NodeRun | null {
  const { run } = state;
  const prefix = run === null ? null : openPrefix(state);
  if (run === null || prefix === null) return null;
  return own(run.nodes, prefix + id) ?? insideOf(run, `${prefix}${id}/`);
}

/** The results that a node of the open graph stands for. */
export function madeOf(state: EditorState, id: string): readonly Made[] {
  const prefix = openPrefix(state);
  if (prefix === null) return [];
  return madeBy(state.history.present, openGraphName(state.path), prefix, id, state.plan.plan, state.made);
}

export function problemsAt(state: EditorState, id: string): Problem[] {
  const at = state.path.at(-1);
  const prefix = openPrefix(state) ?? "";
  const names = [prefix + id, ...(at === undefined ? [] : [`graph:${at}/${id}`])];
  const own_ = (problem: Problem) => {
    const node = problem.node ?? "";
    return names.includes(node) || node.startsWith(`${prefix}${id}/`);
  };
  return state.problems.filter(own_);
}

/** One line for a node. */
export function statusOf(state: EditorState, id: string): NodeStatus {
  const run = runOf(state, id);
  if (run?.status === "running") return running(run);
  if (run?.status === "waiting") return { tone: "run", text: "Waiting", progress: null };
  const problems = problemsAt(state, id);
  const error = problems.find((problem) => problem.severity !== "warning");
  if (error !== undefined) return { tone: "bad", text: count(problems.length, "problem"), progress: null };
  if (run?.status === "failed") return { tone: "bad", text: "Failed", progress: null };
  const plan = planOf(state, id);
  const fresh = state.plan.status === "ready" || state.plan.status === "planning";
  if (plan !== null && fresh) return planned(plan, run, problems.length > 0);
  return problems.length > 0 ? { tone: "warn", text: count(problems.length, "warning"), progress: null } : NOTHING;
}

/** The sentence behind the line: the reason and what changed. */
export function explanationOf(state: EditorState, id: string): { title: string; lines: string[] } {
  const problems = problemsAt(state, id);
  if (problems.length > 0) {
    const lines = problems.flatMap((problem) => [problem.message, ...(problem.hint ? [problem.hint] : [])]);
    return { title: "Problems", lines };
  }
  const run = runOf(state, id);
  if (run?.status === "failed" && run.problem !== undefined) return { title: "Failed", lines: [run.problem.message] };
  const plan = planOf(state, id);
  if (plan === null) return { title: "", lines: [] };
  const title = { run: "Will run", hit: "Cached", maybe: "May run", unused: "Not needed" }[plan.action];
  const changes = plan.changes.map((change) => `${change.port}  ${change.from} \u2192 ${change.to}`);
  const parts = plan.parts > 1 ? [`${plan.running} of ${plan.parts} nodes inside run.`] : [];
  const reason = plan.reason.charAt(0).toUpperCase() + plan.reason.slice(1);
  return { title, lines: [...(changes.length > 0 ? changes : [reason]), ...parts] };
}

function planned(plan: NodePlan, run: NodeRun | null, warned: boolean): NodeStatus {
  if (plan.action === "unused") return { tone: "unused", text: "Not needed", progress: null };
  if (plan.action === "hit") {
    const ran = run?.status === "ran" && run.elapsed_s !== undefined;
    if (ran) return { tone: "done", text: `Ran in ${shortTime(run.elapsed_s ?? 0)}`, progress: null };
    return { tone: warned ? "warn" : "hit", text: "Cached", progress: null };
  }
  const word = plan.action === "run" ? "Will run" : "May run";
  const time = plan.estimated_s === null ? "" : ` \u00b7 ${shortTime(plan.estimated_s)}`;
  return { tone: warned ? "warn" : plan.action, text: word + time, progress: null };
}

function running(run: NodeRun): NodeStatus {
  const { done, total } = run;
  if (done === undefined || total === undefined || total <= 0)
    return { tone: "running", text: "Running", progress: null };
  return { tone: "running", text: `Step ${done} of ${total}`, progress: Math.min(1, done / total) };
}

const inside = new WeakMap<RunState["nodes"], Map<string, NodeRun[]>>();

/** The nodes inside each node, by its path with a "/". */
function insides(run: RunState): ReadonlyMap<string, NodeRun[]> {
  const found = inside.get(run.nodes);
  if (found !== undefined) return found;
  const all = new Map<string, NodeRun[]>();
  for (const [path, node] of Object.entries(run.nodes))
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      const name = path.slice(0, end + 1);
      all.set(name, [...(all.get(name) ?? []), node]);
    }
  inside.set(run.nodes, all);
  return all;
}

function insideOf(run: RunState, prefix: string): NodeRun | null {
  const inner = insides(run).get(prefix);
  if (inner === undefined) return null;
  const active = inner.find((node) => node.status === "running") ?? inner.find((node) => node.status === "failed");
  if (active !== undefined) return active;
  const elapsed_s = inner.reduce((sum, node) => sum + (node.elapsed_s ?? 0), 0);
  return inner.some((node) => node.status === "ran") ? { status: "ran", elapsed_s } : (inner[0] ?? null);
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}
