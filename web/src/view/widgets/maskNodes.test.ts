import { describe, expect, it } from "vitest";
import type { Catalog } from "../../model/catalog";
import { SCHEMA, type WorkflowDocument } from "../../model/document";
import { withMask } from "./maskNodes";

const catalog: Catalog = { schema: "", nodes: {}, port_types: {}, packs: {}, problems: [] };
const doc: WorkflowDocument = {
  schema: SCHEMA,
  nodes: {
    picture: { type: "image.load", values: { file: "upload:a" } },
    set: { type: "latents.set_mask", links: { mask: "picture.mask" } },
  },
};

describe("a painted mask", () => {
  const once = withMask(catalog, doc, null, "picture", "upload:b");
  const types = (of: WorkflowDocument) => Object.values(of.nodes).map((node) => node.type);

  it("gets nodes of its own, and takes the place of the picture's transparency", () => {
    expect(types(once).sort()).toEqual(["image.load", "image.load", "latents.set_mask", "mask.from_image"]);
    const source = once.nodes["set"]?.links?.["mask"]?.split(".")[0] ?? "";
    expect(once.nodes[source]?.type).toBe("mask.from_image");
    const load = once.nodes[source]?.links?.["image"]?.split(".")[0] ?? "";
    expect(once.nodes[load]?.values).toEqual({ file: "upload:b" });
    expect(once.nodes["picture"]?.values).toEqual({ file: "upload:a" });
  });

  it("replaces the mask that was painted before, from the picture and from the mask itself", () => {
    const again = withMask(catalog, once, null, "picture", "upload:c");
    expect(types(again)).toEqual(types(once));
    const mask = Object.keys(once.nodes).find((id) => once.nodes[id]?.label === "Mask over picture") ?? "";
    expect(again.nodes[mask]?.values).toEqual({ file: "upload:c" });
    expect(withMask(catalog, once, null, mask, "upload:d").nodes[mask]?.values).toEqual({ file: "upload:d" });
  });
});
