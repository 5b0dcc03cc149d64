import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { PreviewStore } from "./previews";

const preview = (node: string, run_id = "r") =>
  ({ type: "preview", run_id, node, media_type: "image/jpeg", bytes: new Uint8Array([1]) }) as const;

describe("previews", () => {
  let open: Set<string>;
  beforeEach(() => {
    open = new Set();
    let count = 0;
    vi.spyOn(URL, "createObjectURL").mockImplementation(() => {
      open.add(`blob:${++count}`);
      return `blob:${count}`;
    });
    vi.spyOn(URL, "revokeObjectURL").mockImplementation((url) => void open.delete(url));
  });
  afterEach(() => vi.restoreAllMocks());

  it("are the newest of each node, and nothing older is kept", () => {
    const store = new PreviewStore();
    for (let turn = 0; turn < 5; turn++) store.put(preview("a"));
    store.put(preview("b"));
    expect(open).toEqual(new Set([store.get("a"), store.get("b")]));
    store.clear("r");
    expect([open.size, store.get("a")]).toEqual([0, undefined]);
  });

  it("are not shown for another run", () => {
    const store = new PreviewStore();
    store.put(preview("a", "mine"));
    expect(store.get("a", "other")).toBeUndefined();
    store.clear("other");
    expect(store.get("a", "mine")).toBeDefined();
  });

  it("of inner nodes are those of the node that people see; the newest counts", () => {
    const store = new PreviewStore();
    store.put(preview("sample/stage1"));
    store.put(preview("sample/stage2"));
    store.put(preview("sampler"));
    expect(store.under("sample")).toBe(store.get("sample/stage2"));
    store.remove("sample/stage2");
    expect(store.under("sample")).toBe(store.get("sample/stage1"));
    store.clear("r");
    expect(store.under("sample")).toBeUndefined();
  });

  it("tell who shows them", () => {
    const store = new PreviewStore();
    const told = vi.fn();
    const leave = store.subscribe(told);
    store.put(preview("a"));
    store.remove("a");
    store.remove("a");
    leave();
    store.put(preview("a"));
    expect(told).toHaveBeenCalledTimes(2);
  });
});
