import { describe, expect, test } from "vitest";
import { CATALOG, drawing } from "../../test/toys";
import { canConnect, connect, disconnect, type Verdict } from "./connect";
import { parseRef, type WorkflowDocument } from "./document";
import { addNode, newNode } from "./nodes";

function asked(doc: WorkflowDocument, from: string, to: string): Verdict {
  return canConnect(CATALOG, doc, null, parseRef(from), parseRef(to));
}

function withNodes(types: Record<string, string>): WorkflowDocument {
  return Object.entries(types).reduce((doc, [id, type]) => addNode(doc, null, id, newNode(CATALOG, type)), drawing());
}

describe("whether two ports can be connected", () => {
  test("an output may feed an input of its type", () => {
    expect(asked(withNodes({ again: "toy.decode" }), "sample.latents", "again.latents")).toEqual({ ok: true });
  });

  test("another type is refused with what was expected, what was found, and an output that would fit", () => {
    expect(asked(drawing(), "start.latents", "decode.vae")).toEqual({
      ok: false,
      code: "port-type-mismatch",
      why: "`decode.vae` expects Vae, but `start.latents` gives Latents.",
      hint: "Connect an output of type Vae, for example `model.vae`.",
    });
  });

  test.each([
    ["whole numbers feed numbers", "number.value", "sample.strength", true],
    ["numbers don't feed whole numbers", "share.value", "sample.seed", false],
    ["text feeds a choice", "text.value", "sample.solver", true],
    ["text does not feed a number", "text.value", "sample.seed", false],
  ])("%s", (_, from, to, ok) => {
    const doc = withNodes({ number: "value.int", text: "value.text", share: "value.float" });
    const floats = {
      ...CATALOG.nodes["value.int"],
      type: "value.float",
      outputs: [{ name: "value", type: "Float", help: "" }],
    };
    const catalog = { ...CATALOG, nodes: { ...CATALOG.nodes, "value.float": floats } } as typeof CATALOG;
    expect(canConnect(catalog, doc, null, parseRef(from), parseRef(to)).ok).toBe(ok);
  });

  test("a link that would close a circle is refused, over any number of nodes", () => {
    const verdict = asked(drawing(), "save.image", "save.image");
    expect(verdict).toMatchObject({ ok: false, code: "cycle", why: "A node can't feed itself." });
    const looped = withNodes({ count: "toy.count", number: "value.switch" });
    const doc = connect(
      connect(looped, null, parseRef("decode.image"), parseRef("count.image")),
      null,
      parseRef("count.count"),
      parseRef("number.if_true"),
    );
    expect(asked(doc, "number.value", "sample.seed")).toMatchObject({ ok: false, code: "cycle" });
  });

  test("a value that must be known before the run takes value nodes only, through switches too", () => {
    const doc = withNodes({ count: "toy.count", number: "value.int", either: "value.switch" });
    expect(asked(doc, "count.count", "sample.steps")).toMatchObject({ ok: false, code: "port-not-linkable" });
    expect(asked(doc, "number.value", "sample.steps")).toEqual({ ok: true });
    const known = connect(doc, null, parseRef("number.value"), parseRef("either.if_true"));
    expect(asked(known, "either.value", "sample.steps")).toEqual({ ok: true });
    const computed = connect(known, null, parseRef("count.count"), parseRef("either.if_false"));
    expect(asked(computed, "either.value", "sample.steps")).toMatchObject({ ok: false, code: "port-not-linkable" });
  });

  test("a switch has the type of what feeds it, and refuses another one", () => {
    const doc = withNodes({ either: "value.switch" });
    const fed = connect(doc, null, parseRef("start.latents"), parseRef("either.if_true"));
    expect(asked(fed, "either.value", "decode.latents")).toEqual({ ok: true });
    expect(asked(fed, "either.value", "decode.vae")).toMatchObject({ ok: false, code: "port-type-mismatch" });
    expect(asked(fed, "model.vae", "either.if_false")).toMatchObject({ ok: false, code: "port-types-differ" });
  });

  test("what reads a switch limits what may feed it", () => {
    const doc = connect(
      withNodes({ either: "value.switch" }),
      null,
      parseRef("either.value"),
      parseRef("decode.latents"),
    );
    expect(asked(doc, "model.vae", "either.if_true")).toMatchObject({ ok: false, code: "port-types-differ" });
    expect(asked(doc, "start.latents", "either.if_true")).toEqual({ ok: true });
  });

  test("ports of unknown nodes take and give anything", () => {
    const doc = addNode(drawing(), null, "odd", { type: "gone.node", links: { input: "model.vae" } });
    const read = addNode(doc, null, "reader", { type: "toy.decode", links: { vae: "odd.result" } });
    expect(asked(read, "odd.result", "decode.vae")).toEqual({ ok: true });
    expect(asked(read, "start.latents", "odd.input")).toEqual({ ok: true });
  });

  test("ports that are not there are refused", () => {
    expect(asked(drawing(), "model.nothing", "decode.vae")).toMatchObject({ ok: false, code: "link-output-missing" });
    expect(asked(drawing(), "model.vae", "decode.constructor")).toMatchObject({ ok: false, code: "port-unknown" });
  });
});

describe("connecting", () => {
  test("a link takes the place of a typed-in value", () => {
    const doc = connect(withNodes({ number: "value.int" }), null, parseRef("number.value"), parseRef("sample.seed"));
    expect(doc.nodes["sample"]?.values).toBeUndefined();
    expect(doc.nodes["sample"]?.links?.["seed"]).toBe("number.value");
  });

  test("connecting what is connected changes nothing", () => {
    const doc = drawing();
    expect(connect(doc, null, parseRef("model.vae"), parseRef("decode.vae"))).toBe(doc);
  });

  test("disconnecting undoes connecting", () => {
    const doc = drawing();
    const without = disconnect(doc, null, parseRef("decode.vae"));
    expect(without.nodes["decode"]?.links).toEqual({ latents: "sample.latents" });
    expect(connect(without, null, parseRef("model.vae"), parseRef("decode.vae"))).toEqual(doc);
  });
});
