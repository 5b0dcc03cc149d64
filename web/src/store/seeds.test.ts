import { afterEach, describe, expect, it } from "vitest";
import { SCHEMA, type WorkflowDocument } from "../model/document";
import { randomSeed, rolled, rolls } from "./seeds";

const doc: WorkflowDocument = {
  schema: SCHEMA,
  nodes: {
    sample: { type: "sd.sampler", values: { seed: 1, variation_seed: 2 } },
    linked: { type: "sd.sampler", links: { seed: "seed.value" } },
  },
};

describe("seeds that roll", () => {
  afterEach(() => rolls.clear());

  it("are drawn anew; all others stay", () => {
    for (const at of ["sample.seed", "linked.seed", "gone.seed"]) rolls.set(at, true);
    const after = rolled(doc, () => 7);
    expect(after.nodes["sample"]?.values).toEqual({ seed: 7, variation_seed: 2 });
    expect(after.nodes["linked"]).toBe(doc.nodes["linked"]);
    expect(Object.keys(after.nodes)).toEqual(Object.keys(doc.nodes));
  });

  it("roll in a subgraph too, and not in the node of the same name outside", () => {
    const inner = { nodes: { sample: { type: "sd.sampler", values: { seed: 3 } } }, inputs: {}, outputs: {} };
    rolls.set("graph:face/sample.seed", true);
    const after = rolled({ ...doc, graphs: { face: inner } }, () => 7);
    expect(after.graphs?.["face"]?.nodes["sample"]?.values).toEqual({ seed: 7 });
    expect(after.nodes).toBe(doc.nodes);
  });

  it("change nothing when none rolls, or no more", () => {
    rolls.set("sample.seed", true);
    rolls.set("sample.seed", false);
    expect(rolled(doc)).toBe(doc);
  });

  it("stay within what a port takes", () => {
    for (let turn = 0; turn < 50; turn++) expect(randomSeed(3)).toBeLessThanOrEqual(3);
  });
});
