import { describe, expect, it } from "vitest";
import { Client } from "./client";
import { ApiError, OfflineError } from "./problems";

interface Asked {
  readonly url: string;
  readonly init: RequestInit;
}

function answering(answer: Response | Error, token: string | null = null) {
  const asked: Asked[] = [];
  const fetch = async (url: unknown, init: unknown) => {
    asked.push({ url: String(url), init: init as RequestInit });
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { client: new Client({ token, fetch: fetch as typeof globalThis.fetch }), asked };
}

const json = (body: unknown, init: ResponseInit = {}) => new Response(JSON.stringify(body), init);
const headerOf = (asked: Asked | undefined, name: string) => new Headers(asked?.init.headers).get(name);

describe("the client", () => {
  it("turns a problem document into an error with every problem", async () => {
    const problems = [
      { code: "a", message: "First.", hint: "Do this." },
      { code: "b", message: "Second.", node: "n", port: "p" },
    ];
    const { client } = answering(json({ title: "First.", problems }, { status: 422 }));
    const error = await client.plan({ workflow: {} }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 422, code: "a", problems, explanation: "First. Do this." });
  });

  it("explains an answer that is no problem document", async () => {
    const { client } = answering(new Response("<html>", { status: 502, statusText: "Bad Gateway" }));
    await expect(client.catalog()).rejects.toMatchObject({
      code: "http-502",
      message: "The server answered 502 Bad Gateway.",
    });
  });

  it("says that the server does not answer", async () => {
    await expect(answering(new TypeError("failed")).client.catalog()).rejects.toBeInstanceOf(OfflineError);
  });

  it("sends the token with every request and with the socket's address", async () => {
    const { client, asked } = answering(json({ workflows: [] }), "secret");
    await client.workflows();
    expect(headerOf(asked[0], "Authorization")).toBe("Bearer secret");
    expect(new URL(client.socketUrl).searchParams.get("token")).toBe("secret");
  });

  it.each([
    ["the version it has seen", "v1", "If-Match", '"v1"'],
    ["that the name is new", "", "If-None-Match", "*"],
  ])("saves with %s", async (_, seen, header, sent) => {
    const { client, asked } = answering(json({}, { headers: { ETag: '"v2"' } }));
    expect(await client.save("a b", {}, seen)).toBe("v2");
    expect(headerOf(asked[0], header)).toBe(sent);
    expect(asked[0]?.url).toBe("/api/workflows/a%20b");
  });

  it("leaves out what a query does not ask for", async () => {
    const { client, asked } = answering(json({ runs: [] }));
    await client.runs({ search: "", input: "seed:7", limit: 5 });
    expect(asked[0]?.url).toBe("/api/runs?input=seed%3A7&limit=5");
  });
});
