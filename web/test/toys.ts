/** A small catalogue and workflows for tests. */

import { readdirSync, readFileSync } from "node:fs";
import type { Catalog, InputPort, NodeType, OutputPort } from "../src/model/catalog";
import type { WorkflowDocument } from "../src/model/document";
import type { Json } from "../src/model/json";

const FOLDER = new URL("../../workflows/", import.meta.url);

/** The workflows that ship, by name. */
export const SHIPPED: readonly [string, WorkflowDocument][] = readdirSync(FOLDER)
  .filter((file) => file.endsWith(".json"))
  .map((file) => [file.replace(".json", ""), JSON.parse(readFileSync(new URL(file, FOLDER), "utf8"))]);

export function payload(name: string, type: string, rest: Partial<InputPort> = {}): InputPort {
  return { name, type, required: true, optional: false, help: "", linkable: true, lazy: false, ...rest };
}

export function value(name: string, type: string, fallback: Json, rest: Partial<InputPort> = {}): InputPort {
  return { ...payload(name, type), required: false, default: fallback, schema: {}, ...rest };
}

function node(
  type: string,
  inputs: InputPort[],
  outputs: Record<string, string>,
  rest: Partial<NodeType> = {},
): NodeType {
  const given: OutputPort[] = Object.entries(outputs).map(([name, kind]) => ({ name, type: kind, help: "" }));
  const title = type.slice(type.indexOf(".") + 1);
  const category = type.slice(0, type.indexOf("."));
  const common = { version: 1, doc: "", pack: "toys", lane: "cpu", saves: false, folds: false };
  return { ...common, type, title, category, inputs, outputs: given, ...rest };
}

const NODES: readonly NodeType[] = [
  node("toy.model", [value("source", "String", "builtin:shapes")], { denoiser: "Denoiser", vae: "Vae" }),
  node("toy.latents", [value("width_px", "Int", 64, { unit: "px" })], { latents: "Latents" }),
  node(
    "toy.sample",
    [
      payload("denoiser", "Denoiser"),
      payload("latents", "Latents"),
      payload("control", "Control", { required: false, optional: true }),
      value("seed", "Int", 0, { widget: "seed" }),
      value("strength", "Float", 1),
      value("steps", "Int", 20, { linkable: false }),
      value("solver", "Choice", "euler", { schema: { enum: ["euler", "heun"] } }),
    ],
    { latents: "Latents" },
  ),
  node("toy.decode", [payload("vae", "Vae"), payload("latents", "Latents")], { image: "Image" }),
  node("toy.save", [payload("image", "Image")], { image: "Image" }, { saves: true }),
  node("value.int", [value("value", "Int", 0)], { value: "Int" }, { folds: true }),
  node("value.text", [value("value", "String", "")], { value: "String" }, { folds: true }),
  node("toy.count", [payload("image", "Image")], { count: "Int" }),
  node(
    "value.switch",
    [
      value("condition", "Bool", true),
      payload("if_true", "Any", { required: false, lazy: true }),
      payload("if_false", "Any", { required: false, lazy: true }),
    ],
    { value: "Any" },
    { folds: true },
  ),
];

export const CATALOG: Catalog = {
  schema: "sdgraph/catalog@1",
  nodes: Object.fromEntries(NODES.map((type) => [type.type, type])),
  port_types: {
    Image: { doc: "", color: "#3fa7d6", stored: true },
    Latents: { doc: "", color: "#c77dff", stored: true },
  },
  packs: { toys: "1" },
  problems: [],
};

/** model -> sample -> decode -> save, with latents beside. */
export function drawing(): WorkflowDocument {
  return {
    schema: "sdgraph/workflow@1",
    name: "drawing",
    nodes: {
      model: { type: "toy.model", version: 1 },
      start: { type: "toy.latents", version: 1, values: { width_px: 96 } },
      sample: {
        type: "toy.sample",
        version: 1,
        values: { seed: 7 },
        links: { denoiser: "model.denoiser", latents: "start.latents" },
      },
      decode: { type: "toy.decode", version: 1, links: { vae: "model.vae", latents: "sample.latents" } },
      save: { type: "toy.save", version: 1, links: { image: "decode.image" } },
    },
    inputs: { seed: "sample.seed", width_px: "start.width_px" },
    outputs: { image: "save.image" },
    view: { model: [0, 0], start: [0, 200], sample: [300, 0], decode: [600, 0], save: [900, 0] },
  };
}
