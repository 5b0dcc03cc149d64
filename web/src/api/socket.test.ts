import { describe, expect, it } from "vitest";
import type { RunEvent } from "./events";
import type { Preview } from "./frames";
import { backoffMs, type Connection, EventSocket } from "./socket";

class FakeSocket {
  binaryType = "";
  sent: string[] = [];
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((message: { data: unknown }) => void) | null = null;
  send(text: string) {
    this.sent.push(text);
  }
  close() {
    this.onclose?.();
  }
  says(event: unknown) {
    this.onmessage?.({ data: JSON.stringify(event) });
  }
}

function started(after: number | null = null) {
  const sockets: FakeSocket[] = [];
  const timers: (() => void)[] = [];
  const events: RunEvent[] = [];
  const previews: Preview[] = [];
  const states: Connection[] = [];
  let missed = 0;
  const socket = new EventSocket(
    "ws://host/api/events",
    {
      event: (event) => events.push(event),
      preview: (preview) => previews.push(preview),
      connection: (connection) => states.push(connection),
      missed: () => {
        missed += 1;
      },
    },
    {
      connect: () => {
        sockets.push(new FakeSocket());
        return sockets.at(-1) as unknown as WebSocket;
      },
      now: () => 1000,
      later: (call) => timers.push(call),
      never: () => timers.splice(0),
      random: () => 1,
    },
  );
  socket.open(after);
  const last = () => sockets.at(-1) as FakeSocket;
  return { socket, sockets, timers, events, previews, states, last, missed: () => missed };
}

const event = (seq: number) => ({ seq, run_id: "r", type: "node_started", node: "n" });

describe("the event socket", () => {
  it("asks after a reconnect for what it missed, and hands every event on once", () => {
    const { last, timers, events } = started();
    last().onopen?.();
    last().says(event(7));
    last().onclose?.();
    timers[0]?.();
    last().onopen?.();
    expect(last().sent).toEqual(['{"after":7}']);
    for (const seq of [7, 8]) last().says(event(seq));
    expect(events.map((one) => one.seq)).toEqual([7, 8]);
  });

  it("starts where it is told to", () => {
    const { last } = started(41);
    last().onopen?.();
    expect(last().sent).toEqual(['{"after":41}']);
  });

  it("says when it will try again, and waits longer every time", () => {
    const { last, timers, states } = started();
    last().onclose?.();
    timers[0]?.();
    last().onclose?.();
    const waits = states.flatMap((one) => (one.state === "waiting" ? [one.retryAt - 1000] : []));
    expect(waits).toEqual([500, 1000]);
  });

  it("waits little again once it was connected", () => {
    const { last, timers, states } = started();
    for (let turn = 0; turn < 3; turn++) {
      last().onclose?.();
      timers.at(-1)?.();
    }
    last().onopen?.();
    last().onclose?.();
    const final = states.at(-1);
    expect(final?.state === "waiting" && final.retryAt - 1000).toBe(500);
  });

  it("hands on progress, which has no number of its own", () => {
    const { last, events } = started();
    last().onopen?.();
    last().says(event(7));
    for (const done of [1, 2]) last().says({ ...event(7), type: "node_progress", done });
    expect(events.map((one) => one["done"])).toEqual([undefined, 1, 2]);
  });

  it("says when events were missed that will not come again", () => {
    const { last, timers, missed, events } = started();
    last().onopen?.();
    expect(missed()).toBe(0);
    last().onclose?.();
    timers[0]?.();
    last().onopen?.();
    expect(missed()).toBe(1);
    last().says({ type: "events_forgotten", seq: 40 });
    last().says(event(40));
    last().says(event(41));
    expect([missed(), ...events.map((one) => one.seq)]).toEqual([2, 41]);
  });

  it("does not reconnect after it was closed", () => {
    const { socket, last, timers, states } = started();
    last().onopen?.();
    socket.close();
    expect(timers).toHaveLength(0);
    expect(states.at(-1)).toEqual({ state: "closed" });
  });

  it("hands on previews, and drops what it can't read", () => {
    const { last, previews, events } = started();
    const header = new TextEncoder().encode('{"type":"preview","run_id":"r","node":"n","media_type":"image/jpeg"}');
    const frame = new Uint8Array(4 + header.length + 3);
    new DataView(frame.buffer).setUint32(0, header.length);
    frame.set(header, 4);
    frame.set([1, 2, 3], 4 + header.length);
    last().onmessage?.({ data: frame.buffer });
    last().onmessage?.({ data: new Uint8Array([0, 0, 0, 99, 1]).buffer });
    last().onmessage?.({ data: "no JSON" });
    expect(previews.map((one) => [one.node, [...one.bytes]])).toEqual([["n", [1, 2, 3]]]);
    expect(events).toEqual([]);
  });
});

describe("the wait before an attempt", () => {
  it("never exceeds 15 s and never vanishes", () => {
    for (let attempt = 0; attempt < 40; attempt++) {
      expect(backoffMs(attempt, 0)).toBeGreaterThanOrEqual(250);
      expect(backoffMs(attempt, 1)).toBeLessThanOrEqual(15_000);
    }
  });
});
