import { describe, expect, it } from "vitest";
import type { RunRow } from "../../api/types";
import { inputValues } from "../../model/exposed";
import { queryOf } from "../history/query";
import { inOrder } from "../inputs/order";
import { curlCall, fileName, fileText, literal, pythonCall } from "./exports";
import { ago, bytes, duration } from "./format";
import { ownDocument } from "./openFile";
import { listed, placeOf, tally } from "./problemList";
import { inTurn, movesTo } from "./queueOrder";

const run = (id: string, more: Partial<RunRow> = {}): RunRow => ({
  run_id: id,
  status: "queued",
  name: "txt2img",
  user: "local",
  inputs: {},
  outputs: {},
  priority: 0,
  attempts: 0,
  cancelling: false,
  created_at: "2026-01-01T00:00:00Z",
  ...more,
});

/** What the queue looks like after the server did as it was told. */
function moved(ids: readonly string[], id: string, to: number): readonly string[] {
  let order = [...ids];
  for (const { run: mover, before } of movesTo(
    ids.map((one) => run(one)),
    id,
    to,
  )) {
    order = order.filter((one) => one !== mover);
    order.splice(order.indexOf(before), 0, mover);
  }
  return order;
}

describe("the queue", () => {
  it("shows what waits in the order of its turn", () => {
    const runs = [
      run("b", { position: 2 }),
      run("a", { position: 1 }),
      run("high", { priority: 5, position: 3 }),
      run("r", { status: "running" }),
    ];
    const { running, waiting, ended } = inTurn(runs);
    expect(waiting.map((one) => one.run_id)).toEqual(["high", "a", "b"]);
    expect([running.length, ended.length]).toEqual([1, 0]);
  });

  it.each(["a", "b", "c", "d"])("brings %s to any place", (id) => {
    const ids = ["a", "b", "c", "d"];
    for (const to of ids.keys()) expect(moved(ids, id, to).indexOf(id)).toBe(to);
  });
});

describe("the history's search", () => {
  it.each([
    ["red star", { search: "red star" }],
    ["seed:7", { input: "seed:7" }],
    ["red seed:7 star", { search: "red star", input: "seed:7" }],
    ['solver:"dpmpp 2m"', { input: "solver:dpmpp 2m" }],
    ["", {}],
  ])("reads %o", (text, query) => expect(queryOf(text)).toEqual(query));
});

describe("inputs", () => {
  it("begin with what people change most, and sides belong together", () =>
    expect(inOrder(["a", "height_px", "seed", "prompt", "width_px"])).toEqual([
      "prompt",
      "seed",
      "width_px",
      "height_px",
      "a",
    ]));
});

describe("problems", () => {
  const warning = { code: "w", message: "W.", severity: "warning" as const };
  const error = { code: "e", message: "E.", node: "n", port: "p" };

  it("are listed once, errors first", () => {
    expect(listed([warning, error, warning])).toEqual([error, warning]);
    expect(tally([warning, error, error])).toBe("2 errors, 1 warning");
  });

  it("say where they are", () => expect([placeOf(error), placeOf(warning)]).toEqual(["n.p", ""]));
});

describe("an export", () => {
  const document = {
    schema: "sdgraph/workflow@1" as const,
    name: "my portrait!",
    nodes: { sample: { type: "sd.sampler", values: { seed: 7 } }, text: { type: "sd.encode_text" } },
    inputs: { seed: "sample.seed", prompt: "text.prompt" },
  };
  const call = { origin: "http://127.0.0.1:8188", token: true, document, inputs: inputValues(document) };

  it("sorts names as the canonical file does", () =>
    expect(fileText({ b: 1, a: { d: [], c: null } })).toBe(
      '{\n  "a": {\n    "c": null,\n    "d": []\n  },\n  "b": 1\n}\n',
    ));

  it("names files so that every system takes them", () => {
    expect(fileName("my portrait!", "json")).toBe("my_portrait_.json");
    expect(fileName("../../x", "python")).toBe("x.py");
    expect(fileName("", "curl")).toBe("workflow.sh");
  });

  it("gives the inputs that are typed in", () => expect(call.inputs).toEqual({ seed: 7 }));

  it("sends the token only where one is needed, and never writes it down", () => {
    expect(curlCall(call)).toContain('-H "Authorization: Bearer $SDGRAPH_TOKEN"');
    expect(curlCall({ ...call, token: false })).not.toContain("Authorization");
    expect(pythonCall(call)).toContain('token=os.environ["SDGRAPH_TOKEN"]');
  });

  it("writes values as Python does", () =>
    expect(literal({ a: [true, null, 1.5, "x"] })).toBe('{"a": [True, None, 1.5, "x"]}'));
});

describe("words", () => {
  it.each([
    [0.04, "0 s"],
    [4.2, "4.2 s"],
    [59.6, "60 s"],
    [200, "3 min 20 s"],
    [3900, "1 h 5 min"],
  ])("say %d s as %s", (seconds, words) => expect(duration(seconds)).toBe(words));

  it("say when", () => {
    const now = Date.parse("2026-01-01T01:00:00Z");
    expect(ago("2026-01-01T00:59:50Z", now)).toBe("just now");
    expect(ago("2026-01-01T00:15:00Z", now)).toBe("45 min ago");
    expect(ago("2025-12-31T22:00:00Z", now)).toBe("3 h ago");
  });

  it("say sizes in binary units", () =>
    expect([bytes(0), bytes(1536), bytes(140 * 2 ** 20)]).toEqual(["0 B", "1.5 KiB", "140 MiB"]));
});

describe("a dropped file", () => {
  it("is a workflow when it says so, whatever its version", () => {
    expect(ownDocument('{"schema": "sdgraph/workflow@2", "nodes": {}}')).toMatchObject({ nodes: {} });
    for (const other of ['{"nodes": []}', "[]", "no JSON"]) expect(ownDocument(other)).toBeNull();
  });
});
