import { describe, expect, test } from "vitest";
import { drawing } from "../../test/toys";
import { connect, disconnect } from "./connect";
import { parseRef } from "./document";
import { addNode, removeNodes, renameNode } from "./nodes";
import { addReroute, moveReroutes, removeReroutes, rerouteSource, validVia } from "./reroute";
import { reroutesOf } from "./view";

const vae = parseRef("model.vae");
const decode = parseRef("decode.vae");

function rerouted() {
  const two = addNode(drawing(), null, "decode_2", { type: "toy.decode", links: { vae: "model.vae" } }, { x: 0, y: 0 });
  return addReroute(two, null, "r1", { x: 10, y: 20 }, vae, [decode, parseRef("decode_2.vae")]);
}

describe("reroutes", () => {
  test("links of one output are led through one point", () => {
    expect(validVia(rerouted(), null)).toEqual(
      new Map([
        ["decode.vae", "r1"],
        ["decode_2.vae", "r1"],
      ]),
    );
    expect(rerouteSource(rerouted(), null, "r1")).toEqual(vae);
  });

  test("points can follow points, and taking one away closes the gap", () => {
    const two = addReroute(rerouted(), null, "r2", { x: 30, y: 20 }, vae, [decode]);
    expect(reroutesOf(two, null)["r2"]?.from).toBe("@r1");
    expect(rerouteSource(two, null, "r2")).toEqual(vae);
    const without = removeReroutes(two, null, ["r1"]);
    expect(reroutesOf(without, null)).toEqual({ r2: { x: 30, y: 20, from: "model.vae" } });
    expect(validVia(without, null)).toEqual(new Map([["decode.vae", "r2"]]));
    expect(removeReroutes(without, null, ["r2"]).view).toEqual(removeReroutes(rerouted(), null, ["r1"]).view);
  });

  test("a point goes with the last link that passes it", () => {
    const one = disconnect(rerouted(), null, decode);
    expect(validVia(one, null)).toEqual(new Map([["decode_2.vae", "r1"]]));
    expect(reroutesOf(removeNodes(one, null, ["decode_2"]), null)).toEqual({});
    expect(reroutesOf(removeNodes(rerouted(), null, ["model"]), null)).toEqual({});
  });

  test("a link from elsewhere is not led through the point of the link before", () => {
    const doc = addNode(rerouted(), null, "other", { type: "toy.model" }, { x: 0, y: 0 });
    expect(validVia(connect(doc, null, parseRef("other.vae"), decode), null).has("decode.vae")).toBe(false);
  });

  test("points follow nodes that are renamed, and can be moved", () => {
    const renamed = renameNode(renameNode(rerouted(), null, "model", "sd"), null, "decode", "picture");
    expect(validVia(renamed, null).get("picture.vae")).toBe("r1");
    expect(reroutesOf(moveReroutes(renamed, null, { r1: { x: 1.4, y: 2 } }), null)["r1"]).toEqual({
      x: 1,
      y: 2,
      from: "sd.vae",
    });
  });

  test("a circle of points in a damaged file leads nowhere", () => {
    const view = {
      "@reroutes": { a: { x: 0, y: 0, from: "@b" }, b: { x: 0, y: 0, from: "@a" } },
      "@via": { "decode.vae": "a" },
    };
    expect(rerouteSource({ ...drawing(), view }, null, "a")).toBeNull();
    expect(validVia({ ...drawing(), view }, null).size).toBe(0);
  });
});
