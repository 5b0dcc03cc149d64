import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CATALOG, drawing, SHIPPED } from "../../test/toys";
import { tidied } from "./codec";
import { collapse, collapseProblem, expand, freshGraphName, graphsUsing } from "./collapse";
import { GRAPH_PREFIX, type GraphEntry, parseRef, targetsOf, type WorkflowDocument } from "./document";
import { own } from "./json";

/** What the engine makes of a document: every node outside any subgraph, with absolute ids, and what outputs read. */
function flat(doc: WorkflowDocument) {
  const nodes: Record<string, { type: string; values: object; links: Record<string, string>; mode: unknown }> = {};
  const inputs = new Map<string, Set<string>>();
  const resolve = (graph: GraphEntry, prefix: string, ref: string): string => {
    const { node, port } = parseRef(ref);
    const entry = own(graph.nodes, node);
    const inner = own(doc.graphs, entry?.type.replace(GRAPH_PREFIX, "") ?? "");
    if (!entry?.type.startsWith(GRAPH_PREFIX) || inner === undefined) return `${prefix}${ref}`;
    return resolve(inner, `${prefix}${node}/`, own(inner.outputs, port) ?? "");
  };
  const targets = (graph: GraphEntry, prefix: string, ref: string): string[] => {
    const { node, port } = parseRef(ref);
    const entry = own(graph.nodes, node);
    const inner = own(doc.graphs, entry?.type.replace(GRAPH_PREFIX, "") ?? "");
    if (!entry?.type.startsWith(GRAPH_PREFIX) || inner === undefined) return [`${prefix}${ref}`];
    return targetsOf(own(inner.inputs, port) ?? []).flatMap((found) => targets(inner, `${prefix}${node}/`, found));
  };
  const visit = (
    graph: GraphEntry,
    prefix: string,
    muted: boolean,
    given: Map<string, ["value" | "link", unknown]>,
  ) => {
    for (const [id, node] of Object.entries(graph.nodes)) {
      const path = prefix + id;
      const values: Record<string, unknown> = { ...node.values };
      const links = Object.fromEntries(
        Object.entries(node.links ?? {}).map(([p, ref]) => [p, resolve(graph, prefix, ref)]),
      );
      for (const port of new Set([
        ...Object.keys(values),
        ...Object.keys(links),
        ...[...given.keys()].filter((g) => g.startsWith(`${path}.`)).map((g) => parseRef(g).port),
      ])) {
        const from = given.get(`${path}.${port}`);
        if (from === undefined) continue;
        delete values[port];
        delete links[port];
        if (from[0] === "value") values[port] = from[1];
        else links[port] = from[1] as string;
      }
      const mode = muted ? "mute" : (node.mode ?? null);
      const inner = own(doc.graphs, node.type.replace(GRAPH_PREFIX, ""));
      if (!node.type.startsWith(GRAPH_PREFIX) || inner === undefined) {
        nodes[path] = { type: node.type, values, links, mode };
        continue;
      }
      const passed = new Map<string, ["value" | "link", unknown]>();
      for (const [name, to] of Object.entries(inner.inputs ?? {}))
        for (const target of targetsOf(to)) {
          if (name in values) passed.set(`${path}/${target}`, ["value", values[name]]);
          else if (name in links) passed.set(`${path}/${target}`, ["link", links[name]]);
        }
      // One level: a use inside a use gets its inputs through its own values and links above.
      visit(inner, `${path}/`, mode === "mute", passed);
    }
  };
  visit(doc, "", false, new Map());
  for (const [name, to] of Object.entries(doc.inputs ?? {}))
    inputs.set(name, new Set(targetsOf(to).flatMap((ref) => targets(doc, "", ref))));
  const outputs = Object.fromEntries(
    Object.entries(doc.outputs ?? {}).map(([name, ref]) => [name, resolve(doc, "", ref)]),
  );
  return { nodes, inputs, outputs };
}

/** The flat form with a prefix taken from every path that has it. */
function unprefixed(found: ReturnType<typeof flat>, prefix: string) {
  const bare = (path: string) => (path.startsWith(prefix) ? path.slice(prefix.length) : path);
  return {
    nodes: Object.fromEntries(
      Object.entries(found.nodes).map(([path, node]) => [
        bare(path),
        { ...node, links: Object.fromEntries(Object.entries(node.links).map(([port, ref]) => [port, bare(ref)])) },
      ]),
    ),
    inputs: new Map([...found.inputs].map(([name, refs]) => [name, new Set([...refs].map(bare))])),
    outputs: Object.fromEntries(Object.entries(found.outputs).map(([name, ref]) => [name, bare(ref)])),
  };
}

/** The document with each input's ports in one order, which means nothing, and without empty parts. */
function unordered(doc: WorkflowDocument): WorkflowDocument {
  const inputs = Object.entries(doc.inputs ?? {}).map(([name, to]) => [name, targetsOf(to).toSorted()] as const);
  return tidied({ ...doc, inputs: Object.fromEntries(inputs) });
}

const selections = fc.constantFrom(...SHIPPED).chain(([name, doc]) =>
  fc.record({
    name: fc.constant(name),
    doc: fc.constant(doc),
    ids: fc.subarray(Object.keys(doc.nodes), { minLength: 1 }),
  }),
);

describe("subgraphs", () => {
  test("collapsing any selection of a shipped workflow changes nothing of what runs", () => {
    fc.assert(
      fc.property(selections, ({ doc, ids }) => {
        fc.pre(collapseProblem(CATALOG, doc, null, ids) === null);
        const made = collapse(doc, null, ids, freshGraphName(doc), "part");
        expect(unprefixed(flat(made), "part/")).toEqual(flat(doc));
      }),
      { numRuns: 300 },
    );
  });

  test("expanding a collapsed selection gives the workflow back, places included", () => {
    fc.assert(
      fc.property(selections, ({ doc, ids }) => {
        fc.pre(collapseProblem(CATALOG, doc, null, ids) === null);
        const back = expand(collapse(doc, null, ids, freshGraphName(doc), "part"), null, "part");
        expect(unordered(back)).toEqual(unordered(doc));
      }),
      { numRuns: 300 },
    );
  });

  test("a selection with a node between its nodes is refused, because it would make a circle", () => {
    expect(collapseProblem(CATALOG, drawing(), null, ["model", "decode"])).toContain("`sample` lies between");
    expect(collapseProblem(CATALOG, drawing(), null, ["sample", "decode"])).toBeNull();
    expect(collapseProblem(CATALOG, drawing(), null, [])).not.toBeNull();
  });

  test("one source that feeds two ports becomes one input", () => {
    const made = collapse(drawing(), null, ["sample", "decode"], "draw", "draw");
    expect(made.graphs?.["draw"]?.inputs).toEqual({
      denoiser: "sample.denoiser",
      latents: "sample.latents",
      seed: "sample.seed",
      vae: "decode.vae",
    });
    expect(made.nodes["draw"]).toEqual({
      type: "graph:draw",
      links: { denoiser: "model.denoiser", latents: "start.latents", vae: "model.vae" },
    });
    expect(made.inputs).toEqual({ seed: "draw.seed", width_px: "start.width_px" });
    expect(made.nodes["save"]?.links).toEqual({ image: "draw.image" });
  });

  test("expanding one of two uses keeps the definition and gives the nodes ids of their own", () => {
    const doc = collapse(drawing(), null, ["sample"], "draw", "draw");
    const twice = { ...doc, nodes: { ...doc.nodes, sample: { type: "graph:draw", values: { seed: 3 } } } };
    const back = expand(twice, null, "draw");
    expect(back.graphs?.["draw"]).toEqual(doc.graphs?.["draw"]);
    expect(back.nodes["sample_2"]?.values).toEqual({ seed: 7 });
    expect(back.nodes["decode"]?.links?.["latents"]).toBe("sample_2.latents");
  });

  test("what uses a subgraph is known through other subgraphs", () => {
    const doc: WorkflowDocument = {
      schema: "sdgraph/workflow@1",
      nodes: {},
      graphs: { inner: { nodes: {} }, outer: { nodes: { a: { type: "graph:inner" } } }, other: { nodes: {} } },
    };
    expect(graphsUsing(doc, "inner")).toEqual(new Set(["inner", "outer"]));
  });
});
