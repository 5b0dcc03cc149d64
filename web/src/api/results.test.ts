import { describe, expect, it, vi } from "vitest";
import { ApiError } from "./problems";
import { NodeResults } from "./results";
import type { NodePreview } from "./types";

const preview = (key: string): NodePreview => ({ key, outputs: { image: { text: "1 picture", pictures: [] } } });
const settled = () => new Promise((done) => setTimeout(done));
const watching = (results: NodeResults, ...keys: string[]) => keys.map((key) => results.watch(key, () => undefined));
const failing = (status: number) => new ApiError(status, [{ code: "gone", message: "Gone." }]);

describe("results of nodes", () => {
  it("are asked for once, while somebody watches, and kept", async () => {
    const ask = vi.fn(async (key: string) => preview(key));
    const results = new NodeResults({ ask });
    const told = vi.fn();
    const leave = results.watch("a", told);
    watching(results, "a");
    await settled();
    expect(results.get("a")).toEqual(preview("a"));
    leave();
    watching(results, "a");
    await settled();
    expect([ask.mock.calls.length, told.mock.calls.length]).toEqual([1, 1]);
  });

  it("are asked for six at once, and not at all when the watcher has gone before its turn", async () => {
    const open: (() => void)[] = [];
    const asked: string[] = [];
    const ask = (key: string) => {
      asked.push(key);
      return new Promise<NodePreview>((done) => open.push(() => done(preview(key))));
    };
    const results = new NodeResults({ ask });
    const leave = watching(results, ..."abcdefgh");
    expect(asked).toEqual([..."abcdef"]);
    leave[6]?.();
    for (const answer of open.splice(0)) answer();
    await settled();
    expect(asked).toEqual([..."abcdefh"]);
  });

  it("that nobody keeps are not asked for again until they are made anew", async () => {
    const ask = vi.fn(async (key: string) => preview(key));
    for (let turn = 0; turn < 3; turn++) ask.mockRejectedValueOnce(failing(404));
    const results = new NodeResults({ ask, later: (call) => setTimeout(call) });
    watching(results, "a");
    for (let turn = 0; turn < 9; turn++) await settled();
    expect(results.get("a")).toBeNull();
    watching(results, "a");
    expect(ask).toHaveBeenCalledTimes(3);
    results.renew("a");
    await settled();
    expect(results.get("a")).toEqual(preview("a"));
  });

  it("that are told of before they are stored are found a little later", async () => {
    const ask = vi.fn(async (key: string) => preview(key));
    ask.mockRejectedValueOnce(failing(404));
    const results = new NodeResults({ ask, later: (call) => setTimeout(call) });
    watching(results, "a");
    for (let turn = 0; turn < 3; turn++) await settled();
    expect(results.get("a")).toEqual(preview("a"));
  });

  it("are asked for again later while no worker can answer", async () => {
    const ask = vi.fn(async (key: string) => preview(key));
    ask.mockRejectedValueOnce(failing(503));
    let again: () => void = () => undefined;
    const results = new NodeResults({ ask, later: (call) => (again = call) });
    watching(results, "a");
    await settled();
    expect(results.get("a")).toBeUndefined();
    again();
    await settled();
    expect(results.get("a")).toEqual(preview("a"));
  });

  it("of watchers who come back while the question is taken back are asked for anew", async () => {
    const ask = vi.fn(
      (key: string, signal: AbortSignal) =>
        new Promise<NodePreview>((done, fail) => {
          signal.addEventListener("abort", () => fail(new DOMException("left", "AbortError")));
          if (ask.mock.calls.length > 1) done(preview(key));
        }),
    );
    const results = new NodeResults({ ask });
    results.watch("a", () => undefined)();
    watching(results, "a");
    await settled();
    expect(results.get("a")).toEqual(preview("a"));
  });
});
