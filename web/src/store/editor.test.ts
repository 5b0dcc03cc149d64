import { describe, expect, test } from "vitest";
import { CATALOG, drawing } from "../../test/toys";
import type { RunEvent } from "../api/events";
import { ApiError, OfflineError } from "../api/problems";
import type { PlanAnswer, PlanRequest, Run } from "../api/types";
import type { WorkflowDocument } from "../model/document";
import { setValue } from "../model/values";
import { placeNodes } from "../model/view";
import { createEditor } from "./editor";
import type { Surroundings, Word } from "./surroundings";

const PLAN = { workflow: "w", nodes: {}, run: 0, hit: 0, maybe: 0, unused: 0, problems: [] } as unknown as PlanAnswer;

function refusal(status: number, code: string): ApiError {
  return new ApiError(status, [{ code, message: `It is ${code}.`, node: "sample", port: "seed" }]);
}

/** A server, a clock and other windows that tests hold in their hands. */
function world() {
  const timers: { at: number; call: () => void }[] = [];
  const files = new Map<string, { document: unknown; version: string }>();
  const kept = new Map<string, string>();
  const plans: PlanRequest[] = [];
  const told: Word[] = [];
  let clock = 0;
  let versions = 0;
  let hear: (word: Word) => void = () => undefined;
  const api = {
    answer: (): Promise<PlanAnswer> => Promise.resolve(PLAN),
    offline: false,
    finished: { run_id: "r1", status: "done", outputs: {}, nodes: {} } as unknown as Run,
    catalog: () => Promise.resolve(CATALOG),
    plan(request: PlanRequest) {
      plans.push(request);
      return api.answer();
    },
    enqueue: () => Promise.resolve({ run_id: "r1" }),
    run: () => Promise.resolve(api.finished),
    cancel: () => Promise.resolve(),
    workflow(name: string) {
      const found = files.get(name);
      return found ? Promise.resolve(found as never) : Promise.reject(refusal(404, "workflow-unknown"));
    },
    save(name: string, document: unknown, seen: string | null) {
      if (api.offline) return Promise.reject(new OfflineError());
      const there = files.get(name)?.version ?? "";
      if (seen !== null && seen !== there) return Promise.reject(refusal(412, "workflow-changed"));
      const version = `v${++versions}`;
      files.set(name, { document, version });
      return Promise.resolve(version);
    },
  };
  const around: Surroundings = {
    api: api as unknown as Surroundings["api"],
    now_ms: () => clock,
    later(call, ms) {
      const timer = { at: clock + ms, call };
      timers.push(timer);
      return timer;
    },
    never: (timer) => timers.splice(timers.indexOf(timer as never), timers.includes(timer as never) ? 1 : 0),
    tell: (word) => told.push(word),
    hear: (listener) => {
      hear = listener;
    },
    keep: (name, text) => (text === null ? kept.delete(name) : kept.set(name, text)),
    kept: (name) => kept.get(name) ?? null,
  };
  async function settle() {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  }
  async function wait(ms: number) {
    const end = clock + ms;
    for (;;) {
      timers.sort((a, b) => a.at - b.at);
      const next = timers[0];
      if (next === undefined || next.at > end) break;
      timers.shift();
      clock = next.at;
      next.call();
      await settle();
    }
    clock = end;
    await settle();
  }
  return { api, around, files, kept, plans, told, wait, settle, hear: (word: Word) => hear(word) };
}

async function opened(given = world(), name: string | null = "mine") {
  if (name !== null) given.files.set(name, { document: drawing(), version: "v0" });
  const editor = createEditor(given.around);
  await editor.start();
  const { getState } = editor.store;
  if (name === null) getState().openDocument(drawing());
  else await getState().openNamed(name);
  await given.wait(5000);
  given.plans.length = 0;
  const seed = (value: number) =>
    getState().apply((doc) => setValue(doc, null, "sample", "seed", value), { label: "seed" });
  return { ...given, editor, state: getState, seed };
}

const seedIn = (document: unknown) => (document as WorkflowDocument).nodes["sample"]?.values?.["seed"];

describe("planning", () => {
  test("many changes in a moment are planned once, as they are at the end", async () => {
    const { seed, plans, wait } = await opened();
    for (let value = 10; value < 20; value++) {
      seed(value);
      await wait(20);
    }
    await wait(1000);
    expect(plans.map(({ workflow }) => seedIn(workflow))).toEqual([19]);
  });

  test("moving nodes plans nothing", async () => {
    const { state, plans, wait } = await opened();
    state().apply((doc) => placeNodes(doc, null, { sample: { x: 999, y: 1 } }));
    await wait(2000);
    expect(plans).toEqual([]);
  });

  test("an answer that was overtaken by a change is not shown", async () => {
    const { api, seed, state, wait } = await opened();
    let late: (plan: PlanAnswer) => void = () => undefined;
    api.answer = () => new Promise((resolve) => (late = resolve));
    seed(1);
    await wait(300);
    api.answer = () => Promise.resolve({ ...PLAN, run: 2 });
    seed(2);
    await wait(300);
    late({ ...PLAN, run: 1 });
    await wait(0);
    expect(state().plan).toMatchObject({ status: "ready", plan: { run: 2 } });
  });

  test("a workflow with errors keeps its last plan and shows every problem", async () => {
    const { api, seed, state, wait } = await opened();
    api.answer = () => Promise.reject(refusal(422, "value-out-of-range"));
    seed(-1);
    await wait(300);
    expect(state().plan).toEqual({ status: "invalid", plan: PLAN });
    expect(state().problems.map(({ code }) => code)).toEqual(["value-out-of-range"]);
  });

  test("without a connection the problems that were there stay, and it is tried again at the next change", async () => {
    const { api, seed, state, plans, wait } = await opened();
    api.answer = () => Promise.reject(new OfflineError());
    seed(3);
    await wait(300);
    expect(state().plan.status).toBe("offline");
    state().refreshPlan();
    await wait(300);
    expect(plans).toHaveLength(2);
  });
});

describe("keeping", () => {
  test("a workflow with a name is saved by itself, with the version that was seen", async () => {
    const { seed, state, files, told, wait } = await opened();
    seed(11);
    expect(state().file.state).toBe("changed");
    await wait(3000);
    expect(seedIn(files.get("mine")?.document)).toBe(11);
    expect(state().file).toMatchObject({ state: "kept", version: "v1" });
    expect(told).toEqual([{ kind: "saved", name: "mine", version: "v1" }]);
  });

  test("what somebody else saved meanwhile is not overwritten, until the person decides", async () => {
    const { seed, state, files, wait } = await opened();
    files.set("mine", { document: setValue(drawing(), null, "sample", "seed", 77), version: "other" });
    seed(11);
    await wait(3000);
    expect(state().file.state).toBe("changed-elsewhere");
    seed(12);
    await wait(9000);
    expect(seedIn(files.get("mine")?.document)).toBe(77);
    await state().resolveConflict("mine");
    expect(seedIn(files.get("mine")?.document)).toBe(12);
    expect(state().file.state).toBe("kept");
  });

  test("the person can take the other's work, and goes on from there", async () => {
    const { seed, state, files, wait } = await opened();
    files.set("mine", { document: setValue(drawing(), null, "sample", "seed", 77), version: "other" });
    seed(11);
    await wait(3000);
    await state().resolveConflict("theirs");
    expect(seedIn(state().history.present)).toBe(77);
    seed(13);
    await wait(3000);
    expect(seedIn(files.get("mine")?.document)).toBe(13);
  });

  test("another window's save is shown here when nothing was changed, and held against a change", async () => {
    const { seed, state, files, hear, settle } = await opened();
    files.set("mine", { document: setValue(drawing(), null, "sample", "seed", 55), version: "other" });
    hear({ kind: "saved", name: "mine", version: "other" });
    await settle();
    expect(seedIn(state().history.present)).toBe(55);
    seed(56);
    hear({ kind: "saved", name: "mine", version: "third" });
    expect(state().file.state).toBe("changed-elsewhere");
    expect(seedIn(state().history.present)).toBe(56);
  });

  test("a reload goes on with the draft, and with its undo from there", async () => {
    const first = await opened(world(), null);
    first.seed(21);
    await first.wait(1000);
    const again = createEditor(first.around);
    await again.start();
    expect(seedIn(again.store.getState().history.present)).toBe(21);
    expect(again.store.getState().file).toMatchObject({ name: null, state: "changed" });
  });

  test("a template is copied when it is saved, and never by itself", async () => {
    const { seed, state, files, wait } = await opened();
    state().openDocument(drawing(), { name: "txt2img", version: "t", shipped: true });
    seed(31);
    await wait(9000);
    expect(files.has("txt2img")).toBe(false);
    await state().saveAs("my drawing");
    expect(seedIn(files.get("my drawing")?.document)).toBe(31);
    expect(state().file).toMatchObject({ name: "my drawing", shipped: false, state: "kept" });
  });

  test("saving under a name that is taken says so, and keeps the name that was there", async () => {
    const { state, files } = await opened();
    files.set("taken", { document: drawing(), version: "x" });
    await state().saveAs("taken");
    expect(state().file).toMatchObject({ name: "mine", state: "changed" });
    expect(state().notices.at(-1)?.text).toContain("already");
  });

  test("without a connection saving is tried again by itself", async () => {
    const { api, seed, state, files, wait } = await opened();
    api.offline = true;
    seed(41);
    await wait(2000);
    expect(state().file.state).toBe("failed");
    api.offline = false;
    await wait(4000);
    expect(seedIn(files.get("mine")?.document)).toBe(41);
    expect(state().file.state).toBe("kept");
  });
});

describe("running", () => {
  const event = (type: string, rest: object = {}) => ({ seq: 1, run_id: "r1", type, ...rest }) as RunEvent;

  test("events that come before the answer are not lost", async () => {
    const { editor, state } = await opened();
    const started = state().startRun();
    editor.receive(event("run_started"));
    editor.receive(event("node_started", { node: "sample" }));
    await started;
    expect(state().run).toMatchObject({ id: "r1", phase: "running", nodes: { sample: { status: "running" } } });
  });

  test("at its end a run's results stand at the nodes that made them, and the plan is made again", async () => {
    const { api, editor, state, plans, settle } = await opened();
    await state().startRun();
    api.finished = {
      run_id: "r1",
      status: "done",
      outputs: { image: [{ digest: "d", media_type: "image/png" }] },
      nodes: { sample: { status: "ran", elapsed_s: 2 } },
    } as unknown as Run;
    editor.receive(event("run_finished", { status: "done" }));
    await settle();
    expect(state().run?.results["save"]).toEqual([{ digest: "d", media_type: "image/png" }]);
    expect(state().run?.nodes["sample"]).toEqual({ status: "ran", elapsed_s: 2 });
    expect(plans).toHaveLength(1);
  });

  test("keys of results are kept over the next run, so that nodes go on showing what they made", async () => {
    const { api, editor, state, settle } = await opened();
    await state().startRun();
    editor.receive(event("node_finished", { node: "sample", key: "k1" }));
    editor.receive(event("node_cached", { node: "decode", key: "k2" }));
    expect(state().made).toEqual({ sample: "k1", decode: "k2" });
    await state().startRun();
    api.finished = { run_id: "r1", status: "done", nodes: { sample: { status: "ran", key: "k3" } } } as unknown as Run;
    editor.receive(event("run_finished", { status: "done" }));
    await settle();
    expect(state().made).toEqual({ sample: "k3", decode: "k2" });
    state().openDocument(drawing());
    expect(state().made).toEqual({});
  });

  test("after a reload the run is shown again", async () => {
    const first = await opened();
    await first.state().startRun();
    first.api.finished = { ...first.api.finished, status: "running" } as Run;
    const again = createEditor(first.around);
    await again.start();
    expect(again.store.getState().run).toMatchObject({ id: "r1", phase: "running" });
    again.receive(event("node_started", { node: "decode" }));
    expect(again.store.getState().run?.nodes["decode"]?.status).toBe("running");
  });

  test("a run that is refused leaves its problems", async () => {
    const { api, state } = await opened();
    api.enqueue = () => Promise.reject(refusal(422, "input-missing"));
    await state().startRun();
    expect(state().run).toBeNull();
    expect(state().problems[0]?.code).toBe("input-missing");
  });
});

describe("opening", () => {
  test("what is no workflow is refused, and what was open stays", async () => {
    const { state } = await opened();
    const before = state().history.present;
    state().openDocument({ schema: "something" });
    expect(state().history.present).toBe(before);
    expect(state().notices.at(-1)?.kind).toBe("bad");
  });

  test("a problem inside a subgraph is shown in that subgraph", async () => {
    const { state } = await opened();
    const inner = { nodes: { part: { type: "toy.decode" } } };
    state().openDocument({ ...drawing(), nodes: { use: { type: "graph:inner" } }, graphs: { inner } });
    state().reveal("use/part/step");
    expect(state().path).toEqual(["inner"]);
    expect([...state().selection]).toEqual(["part"]);
    state().reveal("graph:inner/part");
    expect(state().path).toEqual(["inner"]);
    state().leaveGraph();
    expect(state().path).toEqual([]);
  });

  test("undoing what a subgraph came from leaves it", async () => {
    const { state } = await opened();
    const inner = { nodes: {} };
    state().apply((doc) => ({ ...doc, graphs: { inner } }));
    state().openGraph("inner");
    state().undo();
    expect(state().path).toEqual([]);
  });
});
