import { expect, test } from "vitest";
import { SCHEMA, type WorkflowDocument } from "./document";
import { madeBy, withFound } from "./made";
import type { Plan, PlanAction } from "./plan";

const doc: WorkflowDocument = {
  schema: SCHEMA,
  nodes: { start: { type: "toy.latents" }, sample: { type: "toy.staged" }, face: { type: "graph:face" } },
  graphs: {
    face: {
      nodes: { decode: { type: "toy.decode" }, inner: { type: "graph:inner" } },
      outputs: { image: "decode.image", mask: "inner.mask", again: "inner.second" },
    },
    inner: {
      nodes: { masks: { type: "toy.masks" } },
      outputs: { mask: "masks.first", second: "masks.second" },
    },
  },
};

const planned = (rows: Record<string, [PlanAction, string]>): Plan => ({
  workflow: "",
  nodes: Object.fromEntries(
    Object.entries(rows).map(([path, [action, key]]) => [path, { action, key, code: "", reason: "" }]),
  ),
  run: 0,
  hit: 0,
  maybe: 0,
  unused: 0,
  problems: [],
});

test("a node shows what is stored before anybody runs it", () => {
  const plan = planned({ start: ["hit", "k1"] });
  expect(madeBy(doc, null, "", "start", plan, {})).toEqual([{ path: "start", key: "k1", ports: null, stale: false }]);
});

test("a node that would run shows its last result as stale, and nothing when it has none", () => {
  const plan = planned({ start: ["run", "k2"] });
  expect(madeBy(doc, null, "", "start", plan, { start: "k1" })).toMatchObject([{ key: "k1", stale: true }]);
  expect(madeBy(doc, null, "", "start", plan, {})).toEqual([]);
});

test("what only a plan knew of stays shown as stale once a change makes its node run", () => {
  const before = planned({ start: ["hit", "k1"], "sample/finish": ["hit", "k2"], unused: ["run", "k9"] });
  const found = withFound({}, before);
  expect(found).toEqual({ start: "k1", "sample/finish": "k2" });
  const after = planned({ start: ["hit", "k1"], "sample/finish": ["run", "k3"] });
  expect(madeBy(doc, null, "", "start", after, found)).toMatchObject([{ key: "k1", stale: false }]);
  expect(madeBy(doc, null, "", "sample", after, found)).toMatchObject([{ key: "k2", stale: true }]);
});

test("a plan replaces the result that a run gave, and tells nobody when it finds nothing else", () => {
  const newest = { start: "k1", sample: "k2" };
  expect(withFound(newest, planned({ start: ["hit", "k3"] }))).toEqual({ start: "k3", sample: "k2" });
  expect(withFound(newest, planned({ start: ["hit", "k1"], sample: ["run", "k4"] }))).toBe(newest);
});

test("without a plan a node shows what the run told of it", () => {
  expect(madeBy(doc, null, "", "start", null, { start: "k1" })).toMatchObject([{ key: "k1", stale: false }]);
});

test("a node that the engine takes apart shows the last of its parts", () => {
  const ran = { "sample/stage1": "k1", "sample/finish": "k2" };
  const after = planned({ "sample/stage1": ["hit", "k1"], "sample/finish": ["hit", "k2"] });
  expect(madeBy(doc, null, "", "sample", after, {})).toMatchObject([{ key: "k2", stale: false }]);
  const changed = planned({ "sample/stage1": ["hit", "k1"], "sample/finish": ["run", "k3"] });
  expect(madeBy(doc, null, "", "sample", changed, ran)).toMatchObject([{ key: "k2", stale: true }]);
});

test("a subgraph shows the inner outputs that it gives, through subgraphs in it", () => {
  const newest = { "face/decode": "k1", "face/inner/masks": "k2" };
  expect(madeBy(doc, null, "", "face", null, newest)).toEqual([
    { path: "face/decode", key: "k1", ports: ["image"], stale: false },
    { path: "face/inner/masks", key: "k2", ports: ["first", "second"], stale: false },
  ]);
  expect(madeBy(doc, "face", "face/", "inner", null, newest)).toMatchObject([{ key: "k2" }]);
});
