import { describe, expect, it } from "vitest";
import { labelOf, widgetOf } from "./port";
import { blank, nullable, type Schema, variantsOf } from "./schema";

const union: Schema = {
  $defs: {
    Cfg: {
      type: "object",
      properties: { kind: { const: "cfg", default: "cfg" }, rescale: { type: "number", default: 0 } },
    },
    Slg: { type: "object", properties: { kind: { const: "slg" }, scale: { type: "number" } }, required: ["scale"] },
  },
  discriminator: { propertyName: "kind" },
  oneOf: [{ $ref: "#/$defs/Cfg" }, { $ref: "#/$defs/Slg" }],
};
const defs = union.$defs ?? {};
const port = (given: object) => ({ name: "p", type: "Int", required: false, optional: false, help: "", ...given });

describe("a schema", () => {
  it("lists the forms of a tagged union", () => {
    expect(variantsOf(union, defs)?.all.map((one) => one.tag)).toEqual(["cfg", "slg"]);
    expect(variantsOf({ type: "number" }, {})).toBeNull();
  });

  it("starts objects with what they must have, and their tag", () => {
    expect(blank(union, defs)).toEqual({ kind: "cfg" });
    expect(blank({ $ref: "#/$defs/Slg" }, defs)).toEqual({ kind: "slg", scale: 0 });
  });

  it("sees through null", () => {
    const found = nullable({ anyOf: [{ $ref: "#/$defs/Slg" }, { type: "null" }], default: null }, defs);
    expect(found.nullable).toBe(true);
    expect(found.schema.required).toEqual(["scale"]);
    expect(nullable({ type: "string" }, {}).nullable).toBe(false);
  });

  it("starts numbers inside their range", () =>
    expect(blank({ type: "integer", minimum: 16, maximum: 64 }, {})).toBe(16));

  it("stops at references that go round", () => {
    const round = { A: { $ref: "#/$defs/A" } };
    expect(blank({ $ref: "#/$defs/A" }, round)).toBeNull();
  });
});

describe("the widget of a port", () => {
  it.each([
    [{ schema: { type: "integer" }, widget: "seed" }, "seed"],
    [{ schema: { type: "string", enum: ["a"] } }, "choice"],
    [{ schema: { type: "string" }, widget: "unheard of" }, "text"],
    [{ schema: union, widget: "guider" }, "object"],
    [{ schema: { type: "array" } }, "list"],
    [{ type: "Latents" }, "none"],
  ])("of %o is %s", (given, kind) => expect(widgetOf(port(given))).toBe(kind));

  it("leaves the unit out of the label", () => {
    expect(labelOf({ name: "tile_px", unit: "px" })).toBe("Tile");
    expect(labelOf({ name: "guidance_schedule", unit: null })).toBe("Guidance schedule");
  });
});
