import { describe, expect, it } from "vitest";
import { takeToken } from "./token";

function page(hash: string) {
  const kept = new Map<string, string>();
  const store = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
  };
  const shown: string[] = [];
  const past = { state: null, replaceState: (_: unknown, __: string, url: string) => shown.push(url) };
  const place = { hash, pathname: "/", search: "" };
  return {
    take: () => takeToken(place as Location, store as unknown as Storage, past as unknown as History),
    shown,
    kept,
  };
}

describe("the token", () => {
  it("is taken out of the address and kept for the tab", () => {
    const { take, shown, kept } = page("#token=abc&workflow=txt2img");
    expect(take()).toBe("abc");
    expect(shown).toEqual(["/#workflow=txt2img"]);
    expect([...kept.values()]).toEqual(["abc"]);
  });

  it("is null on a server that asks for none", () => {
    expect(page("").take()).toBeNull();
  });
});
