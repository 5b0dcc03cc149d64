import { describe, expect, test } from "vitest";
import { CATALOG, drawing } from "../../test/toys";
import { inserted } from "./insert";
import { addNode } from "./nodes";

const link = (source: string, target: string) => {
  const ref = (text: string) => ({ node: text.split(".")[0] ?? "", port: text.split(".")[1] ?? "" });
  return { source: ref(source), target: ref(target) };
};
const withNew = (type: string) => addNode(drawing(), null, "new", { type }, { x: 0, y: 0 });

describe("a node put into a link", () => {
  test("takes what travelled along it and gives it on; other links stay", () => {
    const after = inserted(CATALOG, withNew("toy.sample"), null, "new", link("sample.latents", "decode.latents"));
    expect(after?.nodes["new"]?.links).toEqual({ latents: "sample.latents" });
    expect(after?.nodes["decode"]?.links).toEqual({ vae: "model.vae", latents: "new.latents" });
    expect(after?.nodes["sample"]).toEqual(drawing().nodes["sample"]);
  });

  test("may be one that takes anything", () => {
    const after = inserted(CATALOG, withNew("value.switch"), null, "new", link("decode.image", "save.image"));
    expect(after?.nodes["new"]?.links).toEqual({ if_true: "decode.image" });
    expect(after?.nodes["save"]?.links).toEqual({ image: "new.value" });
  });

  test.each([
    ["that does not take it", "toy.decode", "decode.image", "save.image"],
    ["that gives something else", "toy.count", "decode.image", "save.image"],
    ["whose link is gone", "toy.save", "gone.image", "save.image"],
  ])("is none %s", (_, type, source, target) => {
    expect(inserted(CATALOG, withNew(type), null, "new", link(source, target))).toBeNull();
  });

  test("closes no circle: a node that feeds the link can't lie in it", () => {
    const after = inserted(CATALOG, drawing(), null, "sample", link("decode.image", "save.image"));
    expect(after).toBeNull();
  });
});
