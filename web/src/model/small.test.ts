import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { WorkflowDocument } from "./document";
import { match } from "./fuzzy";
import { forecast, nodePlans, ownerOf, shortTime } from "./nodeplan";
import type { Plan, PlanRow } from "./plan";
import { afterEvent, queuedRun } from "./runstate";

describe("fuzzy search", () => {
  test("finds letters in order and says where", () => {
    expect(match("vde", "VAE decode")?.at).toEqual([0, 4, 5]);
    expect(match("xyz", "VAE decode")).toBeNull();
    expect(match("", "anything")).toEqual({ score: 0, at: [] });
  });

  test.each([
    ["dec", "VAE decode", "Load checkpoint (decoder)"],
    ["samp", "Sampler", "Staged sampler"],
    ["lc", "Load checkpoint", "Latents composite of pictures"],
    ["int", "Int", "Pad for painting"],
  ])("for %j, %j comes before %j", (query, first, second) => {
    expect(match(query, first)?.score).toBeGreaterThan(match(query, second)?.score ?? -100);
  });

  test("what is found is the query, for any text and any part of it", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 30 }), fc.array(fc.nat(30)), (text, picks) => {
        const places = [...new Set(picks.map((pick) => pick % text.length))].sort((a, b) => a - b);
        const query = places.map((place) => text[place] ?? "").join("");
        const letters = [...query.toLowerCase()].filter((letter) => letter.trim() !== "");
        const found = match(query, text);
        expect(found?.at.map((place) => text.toLowerCase()[place])).toEqual(letters);
      }),
    );
  });
});

function row(action: PlanRow["action"], estimated_s?: number | null, rest: Partial<PlanRow> = {}): PlanRow {
  return {
    action,
    code: "x",
    reason: `${action} it`,
    key: "00",
    ...(estimated_s === undefined ? {} : { estimated_s }),
    ...rest,
  };
}

const PLAN: Plan = {
  workflow: "w",
  nodes: {
    sd: row("hit"),
    sample: row("run", 3, { changes: [{ port: "seed", from: "1", to: "2" }] }),
    "stage/first": row("hit"),
    "stage/second": row("run", 1.5),
    spare: row("unused"),
    later: row("maybe", 0.5),
  },
  run: 2,
  hit: 2,
  maybe: 1,
  unused: 1,
  problems: [],
};

/** `stage` is one node that the engine takes apart; `group` is a subgraph. */
const DOC: WorkflowDocument = {
  schema: "sdgraph/workflow@1",
  nodes: { stage: { type: "toy.stage" }, group: { type: "graph:inner" } },
  graphs: { inner: { nodes: { sample: { type: "toy.sample" } } } },
};

describe("plans", () => {
  test.each([
    ["stage/second", "stage"],
    ["group/sample", "group/sample"],
    ["group/sample/second", "group/sample"],
    ["sd", "sd"],
  ])("%s belongs to the node %s", (path, owner) => {
    expect(ownerOf(DOC, path)).toBe(owner);
  });

  test("a node that stands for several runs when one of them does, for as long as these take", () => {
    const plans = nodePlans(PLAN, "");
    expect(plans.get("stage")).toMatchObject({
      action: "run",
      parts: 2,
      running: 1,
      estimated_s: 1.5,
      reason: "second: run it",
    });
    expect(plans.get("sample")?.changes).toEqual([{ port: "seed", from: "1", to: "2" }]);
    expect(plans.get("sd")).toMatchObject({ action: "hit", estimated_s: null });
  });

  test("inside a subgraph its own rows are shown", () => {
    expect([...nodePlans(PLAN, "stage/").keys()]).toEqual(["first", "second"]);
  });

  test("the forecast counts what is wanted, and gives no time when one is unknown", () => {
    expect(forecast(PLAN, DOC)).toEqual({ run: 3, total: 4, seconds: 5 });
    const unknown = { ...PLAN, nodes: { ...PLAN.nodes, sample: row("run", null) } };
    expect(forecast(unknown, DOC).seconds).toBeNull();
  });

  test.each([
    [0, "under 0.1 s"],
    [0.31, "0.3 s"],
    [4.26, "4.3 s"],
    [4, "4 s"],
    [42.4, "42 s"],
    [125, "2 min"],
    [3900, "1 h 5 min"],
    [7200, "2 h"],
  ])("%d seconds read %s", (seconds, text) => {
    expect(shortTime(seconds)).toBe(text);
  });
});

describe("runs", () => {
  const event = (type: string, rest: object = {}) => ({ run_id: "r", type, ...rest });
  const folded = (...events: ReturnType<typeof event>[]) => events.reduce(afterEvent, queuedRun("r"));

  test("a node's progress leads to its time", () => {
    const run = folded(
      event("run_started"),
      event("node_started", { node: "sample" }),
      event("node_progress", { node: "sample", done: 3, total: 20 }),
    );
    expect(run.phase).toBe("running");
    expect(run.nodes["sample"]).toEqual({ status: "running", done: 3, total: 20 });
    expect(afterEvent(run, event("node_finished", { node: "sample", elapsed_s: 1.5 })).nodes["sample"]).toEqual({
      status: "ran",
      elapsed_s: 1.5,
    });
  });

  test("events of other runs and of kinds that are not known change nothing", () => {
    const run = folded(event("run_started"));
    expect(afterEvent(run, { ...event("node_started", { node: "a" }), run_id: "other" })).toBe(run);
    expect(afterEvent(run, event("node_danced", { node: "a" }))).toBe(run);
  });

  test("a run ends as its last event says", () => {
    expect(folded(event("run_finished", { status: "partial", elapsed_s: 2 }))).toMatchObject({
      phase: "partial",
      elapsed_s: 2,
    });
    expect(folded(event("run_finished", { status: "cancelled" })).phase).toBe("cancelled");
  });
});
