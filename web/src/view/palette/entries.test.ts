import { describe, expect, it } from "vitest";
import { type Entry, search } from "./entries";

function entry(title: string, category: string): Entry {
  const ports = { title, category, doc: "", inputs: [], outputs: [], kind: "node" as const };
  return { type: `${category}.${title.toLowerCase().replaceAll(" ", "_")}`, title, category, doc: "", ports };
}

const ENTRIES = [
  entry("Canny", "control"),
  entry("Load ControlNet", "control"),
  entry("Concat conditioning", "conditioning"),
  entry("VAE decode", "sd"),
];
const titles = (query: string) => search(ENTRIES, query).map((found) => found.title);

describe("search", () => {
  it("puts what is found in the title before what is found in the category alone", () => {
    expect(titles("control")).toEqual(["Load ControlNet", "Canny"]);
  });

  it("finds a node by its category and its title together", () => {
    expect(titles("control canny")[0]).toBe("Canny");
  });

  it("gives everything in order when nothing is asked for", () => {
    expect(titles(" ")).toEqual(ENTRIES.map((found) => found.title));
  });
});
