import { describe, expect, test } from "vitest";
import { CATALOG, drawing } from "../../../test/toys";
import { connect } from "../../model/connect";
import { parseRef } from "../../model/document";
import { addNode, newNode, setLabel } from "../../model/nodes";
import { addReroute } from "../../model/reroute";
import { setValue } from "../../model/values";
import { placeNodes } from "../../model/view";
import { entriesOf, fitting, search } from "../palette/entries";
import { flowOf, NO_FLOW, sortSelection } from "./flow";
import { keyText } from "./keys";
import { merged } from "./merge";

const flow = (doc = drawing(), before = NO_FLOW) => flowOf(CATALOG, doc, null, before);

describe("the canvas of a document", () => {
  test("has a card for each node and a wire for each link", () => {
    const { nodes, wires } = flow();
    expect(nodes.map((node) => node.id).sort()).toEqual(["decode", "model", "sample", "save", "start"]);
    expect(wires.map((wire) => wire.id).sort()).toEqual([
      "decode.latents",
      "decode.vae",
      "sample.denoiser",
      "sample.latents",
      "save.image",
    ]);
  });

  test("draws again only what a change concerns", () => {
    const shared = drawing();
    const first = flow(shared);
    const second = flow(setValue(shared, null, "sample", "seed", 9), first);
    expect(second.nodes.filter((node, index) => node !== first.nodes[index]).map((node) => node.id)).toEqual([
      "sample",
    ]);
    expect(second.wires).toBe(first.wires);
    expect(flow(shared, first).nodes).toBe(first.nodes);
  });

  test("keeps a node's data when it only moves", () => {
    const doc = drawing();
    const before = flow(doc);
    const after = flow(placeNodes(doc, null, { sample: { x: 5, y: 6 } }), before);
    const of = (found: typeof before) => found.nodes.find((node) => node.id === "sample");
    expect(of(after)?.position).toEqual({ x: 5, y: 6 });
    expect(of(after)?.data).toBe(of(before)?.data);
  });

  test("leads links through reroutes, and links to nodes that are gone nowhere", () => {
    const led = addReroute(drawing(), null, "r1", { x: 1, y: 2 }, parseRef("model.vae"), [parseRef("decode.vae")]);
    const { wires } = flow(led);
    expect(wires.find((wire) => wire.id === "decode.vae")?.source).toBe("@reroute:r1");
    expect(wires.find((wire) => wire.id === "@reroute:r1")?.source).toBe("model");
    const broken = connect(drawing(), null, parseRef("gone.vae"), parseRef("decode.vae"));
    expect(flow(broken).wires.some((wire) => wire.id === "decode.vae")).toBe(false);
  });

  test("places nodes that nobody placed behind what feeds them", () => {
    const { view: _, ...bare } = drawing();
    const at = new Map(flow(bare).nodes.map((node) => [node.id, node.position.x]));
    expect(at.get("model")).toBeLessThan(at.get("sample") ?? 0);
    expect(at.get("sample")).toBeLessThan(at.get("decode") ?? 0);
    const added = addNode(drawing(), null, "late", newNode(CATALOG, "toy.save"));
    const places = flow(added).nodes.map((node) => `${node.position.x},${node.position.y}`);
    expect(new Set(places).size).toBe(places.length);
  });

  test("keeps what was measured and what is being dragged", () => {
    const doc = drawing();
    const shown = merged([], flow(doc).nodes, new Set()).map((node) => ({
      ...node,
      measured: { width: 9, height: 9 },
    }));
    const dragged = shown.map((node) =>
      node.id === "save" ? { ...node, dragging: true, position: { x: 7, y: 7 } } : node,
    );
    const after = merged(dragged, flow(setLabel(doc, null, "save", "Keep")).nodes, new Set(["save"]));
    expect(after.find((node) => node.id === "save")).toMatchObject({
      position: { x: 7, y: 7 },
      measured: { width: 9, height: 9 },
      selected: true,
    });
  });

  test("a selection is sorted by what it is", () => {
    expect(sortSelection(["a", "@group:g", "@comment:c", "@reroute:r"])).toEqual({
      nodes: ["a"],
      groups: ["g"],
      comments: ["c"],
      reroutes: ["r"],
    });
  });
});

describe("the palette", () => {
  const all = entriesOf(CATALOG, drawing(), null);

  test("offers what takes an output, those of its very type first", () => {
    const end = { node: "sample", port: "latents", side: "output", type: "Latents" } as const;
    const types = fitting(all, end).map((entry) => entry.type);
    expect(types.slice(0, 2).sort()).toEqual(["toy.decode", "toy.sample"]);
    expect(types).toContain("value.switch");
    expect(types).not.toContain("toy.save");
  });

  test("finds by letters of the title, and what was used lately goes first among equals", () => {
    expect(search(all, "dec")[0]?.type).toBe("toy.decode");
    expect(search(all, "zzz")).toEqual([]);
  });

  test("does not offer a subgraph inside itself", () => {
    const doc = { ...drawing(), graphs: { inner: { nodes: {} }, outer: { nodes: { a: { type: "graph:inner" } } } } };
    const offered = entriesOf(CATALOG, doc, "inner").map((entry) => entry.type);
    expect(offered).not.toContain("graph:inner");
    expect(offered).not.toContain("graph:outer");
    expect(entriesOf(CATALOG, doc, null).map((entry) => entry.type)).toContain("graph:outer");
  });
});

describe("keys", () => {
  const key = (key: string, more: object = {}) =>
    ({
      key,
      code: `Key${key.toUpperCase()}`,
      ctrlKey: false,
      metaKey: false,
      altKey: false,
      shiftKey: false,
      ...more,
    }) as KeyboardEvent;

  test.each([
    [key("z", { ctrlKey: true }), false, "mod+z"],
    [key("Z", { metaKey: true, shiftKey: true }), true, "mod+shift+z"],
    [key("z", { ctrlKey: true }), true, "other+z"],
    [key("?", { shiftKey: true, code: "Slash" }), false, "?"],
    [key("å", { altKey: true, code: "KeyA" }), true, "alt+a"],
    [key("Tab", { code: "Tab" }), false, "tab"],
  ])("%# reads as it is printed", (event, mac, text) => {
    expect(keyText(event, mac)).toBe(text);
  });
});
