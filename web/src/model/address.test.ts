import { expect, test } from "vitest";
import { formatAddress, parseAddress } from "./address";

test.each([
  ["sample.seed", { graph: null, node: "sample", port: "seed" }],
  ["graph:face/detail/sample.seed", { graph: "face/detail", node: "sample", port: "seed" }],
  ["graph:v1.5/sample.seed", { graph: "v1.5", node: "sample", port: "seed" }],
])("%s is the address of a port, and back", (text, address) => {
  expect(parseAddress(text)).toEqual(address);
  expect(formatAddress(address.graph, address)).toBe(text);
});
