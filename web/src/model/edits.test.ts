import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CATALOG, drawing, SHIPPED } from "../../test/toys";
import { align, distribute } from "./arrange";
import { copy, paste, readFragment } from "./clipboard";
import { canonicalText, readDocument } from "./codec";
import { collapse } from "./collapse";
import { graphOf, parseRef, targetsOf, type WorkflowDocument } from "./document";
import { exposeInput, exposeOutput, hideInput, removeInput, renameInput, setInput } from "./exposed";
import { addGroup, changeGroup, freshFrame, liesIn, removeFrames } from "./frames";
import { own } from "./json";
import { addNode, freshNodeId, idProblem, newNode, removeNodes, renameNode, setLabel, toggleMode } from "./nodes";
import { resetValue, setValue } from "./values";
import { groupsOf, placeNodes, positionOf, setLook } from "./view";

const none = { groups: new Set<string>(), comments: new Set<string>() };
const shipped = fc.constantFrom(...SHIPPED).map(([, doc]) => doc);
const nodeOf = shipped.chain((doc) => fc.tuple(fc.constant(doc), fc.constantFrom(...Object.keys(doc.nodes))));

/** Every reference of a graph names a node that is there. */
function dangling(doc: WorkflowDocument): string[] {
  return [null, ...Object.keys(doc.graphs ?? {})].flatMap((at) => {
    const graph = graphOf(doc, at);
    const refs = [
      ...Object.values(graph.nodes).flatMap((node) => Object.values(node.links ?? {})),
      ...Object.values(graph.inputs ?? {}).flatMap(targetsOf),
      ...Object.values(graph.outputs ?? {}),
    ];
    return refs.filter((ref) => own(graph.nodes, parseRef(ref).node) === undefined);
  });
}

describe("files", () => {
  test.each(SHIPPED)("%s is read and written back unchanged", (_, doc) => {
    const read = readDocument(doc);
    expect(read.ok && JSON.parse(canonicalText(read.document))).toEqual(doc);
  });

  test("fields and node types that the editor does not know come back as they were", () => {
    fc.assert(
      fc.property(nodeOf, fc.jsonValue(), fc.string({ minLength: 1 }), ([doc, id], extra, name) => {
        fc.pre(!["type", "links", "values", "mode", "label", "version", "nodes", "__proto__"].includes(name));
        const odd = { ...doc.nodes[id], type: "gone.away", [name]: extra };
        const file = { ...doc, nodes: { ...doc.nodes, [id]: odd }, view: { ...doc.view, "@later": [1] } };
        const edited = setLabel(placeNodes(file as WorkflowDocument, null, { [id]: { x: 5, y: 6 } }), null, id, "Kept");
        expect(edited.nodes[id]).toEqual({ ...odd, label: "Kept" });
        expect(edited.view?.["@later"]).toEqual([1]);
      }),
    );
  });

  test.each([
    [[], "not-a-workflow"],
    [null, "not-a-workflow"],
    [{ nodes: {} }, "schema-unknown"],
    [{ schema: "sdgraph/workflow@2", nodes: {} }, "schema-newer"],
    [{ schema: "sdgraph/workflow@1", nodes: [] }, "field-invalid"],
    [{ schema: "sdgraph/workflow@1", nodes: { a: {} } }, "field-invalid"],
    [{ schema: "sdgraph/workflow@1", nodes: { a: { type: "x", links: { b: 1 } } } }, "field-invalid"],
    [{ schema: "sdgraph/workflow@1", nodes: {}, graphs: { g: { nodes: 3 } } }, "field-invalid"],
    [{ schema: "sdgraph/workflow@1", nodes: {}, inputs: { a: 3 } }, "field-invalid"],
    [{ schema: "sdgraph/workflow@1", nodes: {}, view: 3 }, "field-invalid"],
  ])("%j is refused as %s", (data, code) => {
    const read = readDocument(data);
    expect(read.ok ? "read" : read.problem.code).toBe(code);
  });
});

describe("editing nodes", () => {
  test("removing any nodes leaves no reference to them", () => {
    const some = shipped.chain((doc) => fc.tuple(fc.constant(doc), fc.subarray(Object.keys(doc.nodes))));
    fc.assert(
      fc.property(some, ([doc, ids]) => {
        const left = removeNodes(doc, null, ids);
        expect(dangling(left)).toEqual([]);
        expect(Object.keys(left.nodes)).toEqual(Object.keys(doc.nodes).filter((id) => !ids.includes(id)));
        expect(ids.filter((id) => positionOf(left, null, id) !== undefined)).toEqual([]);
      }),
    );
  });

  test("renaming a node and back changes nothing, and no reference is lost between", () => {
    fc.assert(
      fc.property(nodeOf, ([doc, id]) => {
        const renamed = renameNode(doc, null, id, "renamed");
        expect(dangling(renamed)).toEqual([]);
        expect(renameNode(renamed, null, "renamed", id)).toEqual(doc);
      }),
    );
  });

  test("ids that exist or that no file may have are refused", () => {
    expect(idProblem(drawing(), null, "sample")).toContain("already");
    for (const id of ["", "a b", "-a", "a.b", "x".repeat(65)]) expect(idProblem(drawing(), null, id)).not.toBeNull();
    expect(idProblem(drawing(), null, "constructor")).toBeNull();
  });

  test("a node called like what every object inherits is a node like others", () => {
    const doc = addNode(drawing(), null, "constructor", newNode(CATALOG, "toy.decode"), { x: 1, y: 2 });
    expect(own(doc.nodes, "constructor")?.type).toBe("toy.decode");
    expect(removeNodes(doc, null, ["constructor"])).toEqual(drawing());
    expect(removeNodes(drawing(), null, ["toString"])).toEqual(drawing());
  });

  test("a value that is typed in takes the place of a link, and can be taken back", () => {
    const doc = setValue(drawing(), null, "sample", "latents", 3);
    expect(doc.nodes["sample"]?.links).toEqual({ denoiser: "model.denoiser" });
    expect(setValue(doc, null, "sample", "seed", 7)).toBe(doc);
    expect(resetValue(resetValue(doc, null, "sample", "latents"), null, "sample", "seed").nodes["sample"]).toEqual({
      type: "toy.sample",
      version: 1,
      links: { denoiser: "model.denoiser" },
    });
  });

  test("muting some of which are muted mutes all, and again unmutes all", () => {
    const one = toggleMode(drawing(), null, ["save"], "mute");
    const both = toggleMode(one, null, ["save", "decode"], "mute");
    expect([both.nodes["save"]?.mode, both.nodes["decode"]?.mode]).toEqual(["mute", "mute"]);
    expect(toggleMode(both, null, ["save", "decode"], "mute")).toEqual(drawing());
  });

  test("free ids count up and are ids", () => {
    expect(freshNodeId(drawing(), null, "toy.sample")).toBe("sample_2");
    expect(freshNodeId(drawing(), null, "graph:My graph!")).toBe("My_graph");
  });
});

describe("exposed ports", () => {
  test("exposing and hiding a port undo each other", () => {
    const doc = exposeInput(drawing(), null, { node: "sample", port: "steps" });
    expect(doc.inputs?.["steps"]).toBe("sample.steps");
    expect(hideInput(doc, null, { node: "sample", port: "steps" })).toEqual(drawing());
  });

  test("one input may feed several ports, and sets the value of each", () => {
    const doc = exposeInput(drawing(), null, { node: "start", port: "height_px" }, "width_px");
    const set = setInput(doc, "width_px", 128);
    expect(set.nodes["start"]?.values).toEqual({ width_px: 128, height_px: 128 });
    expect(hideInput(doc, null, { node: "start", port: "height_px" })).toEqual(drawing());
  });

  test("a subgraph's port that goes takes along what its uses gave it", () => {
    const doc = collapse(drawing(), null, ["sample", "decode"], "draw", "draw");
    const typed = setValue(doc, null, "draw", "seed", 3);
    const removed = removeInput(typed, "draw", "seed");
    expect(removed.nodes["draw"]?.values).toBeUndefined();
    expect(removed.inputs).toEqual({ width_px: "start.width_px" });
    const emptied = removeNodes(doc, "draw", ["decode"]);
    expect(dangling(emptied)).toEqual([]);
    expect(emptied.nodes["save"]?.links).toBeUndefined();
    expect(emptied.nodes["draw"]?.links).toEqual({ denoiser: "model.denoiser", latents: "start.latents" });
  });

  test("renaming a subgraph's input renames it at every use", () => {
    const doc = collapse(drawing(), null, ["sample", "decode"], "draw", "draw");
    const renamed = renameInput(doc, "draw", "vae", "autoencoder");
    expect(renamed.nodes["draw"]?.links?.["autoencoder"]).toBe("model.vae");
    expect(renameInput(renamed, "draw", "autoencoder", "vae").nodes).toEqual(doc.nodes);
  });

  test("an output is exposed once", () => {
    const doc = exposeOutput(drawing(), null, { node: "decode", port: "image" });
    expect(doc.outputs).toEqual({ image: "save.image", image_2: "decode.image" });
    expect(exposeOutput(doc, null, { node: "decode", port: "image" })).toBe(doc);
  });
});

describe("the clipboard", () => {
  test("pasting a whole workflow twice gives it twice, with ids of its own", () => {
    fc.assert(
      fc.property(shipped, (doc) => {
        const fragment = readFragment(JSON.stringify(doc));
        const pasted = fragment && paste(doc, null, fragment, { x: 10, y: 20 });
        expect(pasted?.refused).toEqual([]);
        expect(Object.keys(pasted?.document.nodes ?? {})).toHaveLength(2 * Object.keys(doc.nodes).length);
        expect(dangling(pasted?.document ?? doc)).toEqual([]);
        expect(pasted?.document.graphs).toEqual(doc.graphs);
        expect(removeNodes(pasted?.document ?? doc, null, pasted?.added ?? [])).toEqual(doc);
      }),
    );
  });

  test("links from outside go, or stay when asked", () => {
    const doc = drawing();
    const fragment = copy(doc, null, new Set(["sample", "decode"]), none);
    const bare = paste(doc, null, fragment, { x: 0, y: 0 }).document;
    expect(bare.nodes["decode_2"]?.links).toEqual({ latents: "sample_2.latents" });
    const linked = paste(doc, null, fragment, { x: 0, y: 0 }, true).document;
    expect(linked.nodes["decode_2"]?.links).toEqual({ latents: "sample_2.latents", vae: "model.vae" });
  });

  test("a subgraph comes along, and under a new name when another one has its name", () => {
    const doc = collapse(drawing(), null, ["sample", "decode"], "draw", "draw");
    const fragment = copy(doc, null, new Set(["draw"]), none);
    const other = { ...drawing(), graphs: { draw: { nodes: {} } } };
    const pasted = paste(other, null, fragment, { x: 0, y: 0 }).document;
    expect(pasted.nodes["draw"]?.type).toBe("graph:draw_2");
    expect(pasted.graphs?.["draw_2"]).toEqual(doc.graphs?.["draw"]);
    expect(pasted.graphs?.["draw"]).toEqual({ nodes: {} });
  });

  test("a subgraph can't be pasted into itself", () => {
    const doc = collapse(drawing(), null, ["sample"], "draw", "draw");
    const fragment = copy(doc, null, new Set(["draw", "decode"]), none);
    const pasted = paste(doc, "draw", fragment, { x: 0, y: 0 });
    expect(pasted.refused).toEqual(["draw"]);
    expect(Object.keys(pasted.document.graphs?.["draw"]?.nodes ?? {})).toEqual(["sample", "decode"]);
  });

  test.each([
    "",
    "text",
    "3",
    "[]",
    '{"nodes": 3}',
    '{"schema": "other", "nodes": {}}',
    '{"schema":"sdgraph/fragment@1","nodes":{"a":1}}',
  ])("%j is no fragment", (text) => {
    expect(readFragment(text)).toBeNull();
  });
});

describe("the view", () => {
  test("groups have a place, move, and go without a trace", () => {
    const box = { x: 0.4, y: 0, width: 100, height: 50 };
    const doc = addGroup(drawing(), null, freshFrame(drawing(), null, "group"), { ...box, title: "Model" });
    expect(groupsOf(doc, null)).toEqual({ group: { ...box, x: 0, title: "Model" } });
    expect(changeGroup(doc, null, "group", { title: "Model" })).toBe(doc);
    expect(removeFrames(doc, null, ["group"], [])).toEqual(drawing());
    expect(liesIn({ x: 90, y: 0, width: 10, height: 10 }, box)).toBe(true);
    expect(liesIn({ x: 98, y: 0, width: 10, height: 10 }, box)).toBe(false);
  });

  test("what a file says of the view in another form is left alone and not shown", () => {
    const doc = { ...drawing(), view: { ...drawing().view, "@groups": { a: 3, b: { x: 1 } }, model: "here" } };
    expect(groupsOf(doc, null)).toEqual({});
    expect(positionOf(doc, null, "model")).toBeUndefined();
    expect(JSON.parse(canonicalText(doc)).view).toEqual(doc.view);
  });

  test("a look that says nothing is not kept", () => {
    const doc = setLook(drawing(), null, "save", { color: "#fff", folded: true });
    expect(setLook(doc, null, "save", { color: undefined, folded: undefined })).toEqual(drawing());
  });

  test("aligned boxes share an edge, and distributed ones equal gaps", () => {
    const boxes = {
      a: { x: 0, y: 0, width: 10, height: 10 },
      b: { x: 50, y: 30, width: 30, height: 10 },
      c: { x: 100, y: 70, width: 20, height: 20 },
    };
    expect(align(boxes, "right")).toEqual({ a: { x: 110, y: 0 }, b: { x: 90, y: 30 }, c: { x: 100, y: 70 } });
    expect(align(boxes, "middle")["a"]?.y).toBe(40);
    expect(distribute(boxes, "horizontal")).toEqual({ a: { x: 0, y: 0 }, b: { x: 40, y: 30 }, c: { x: 100, y: 70 } });
    expect(distribute({ a: boxes.a, b: boxes.b }, "vertical")).toEqual({});
  });
});
