/** The client, socket and previews of this page: made once, handed to whoever asks. */

import { Client } from "./client";
import type { RunEvent } from "./events";
import { PreviewStore } from "./previews";
import { NodeResults } from "./results";
import { type Connection, EventSocket } from "./socket";
import { takeToken } from "./token";

export interface Session {
  readonly client: Client;
  /** Of what is being drawn. */
  readonly previews: PreviewStore;
  /** What nodes have made. */
  readonly results: NodeResults;
  /** Call `listener` for every event from here on; returns what ends that. */
  onEvent(listener: (event: RunEvent) => void): () => void;
  onConnection(listener: (connection: Connection) => void): () => void;
  /** Call `listener` when events were missed for good: what is kept by events must be asked for anew. */
  onMissed(listener: () => void): () => void;
  readonly connection: () => Connection;
  retry(): void;
}

const ENDS_NODE: ReadonlySet<string> = new Set(["node_cached", "node_finished", "node_failed"]);

/** A session whose socket is open. */
export function openSession(client: Client): Session {
  const previews = new PreviewStore();
  const results = new NodeResults({ ask: (key, signal) => client.preview(key, signal) });
  const events = new Set<(event: RunEvent) => void>();
  const watchers = new Set<(connection: Connection) => void>();
  const missed = new Set<(nothing: undefined) => void>();
  let connection: Connection = { state: "connecting" };
  const socket = new EventSocket(client.socketUrl, {
    event: (event) => {
      if (ENDS_NODE.has(event.type) && event.node !== undefined) previews.remove(event.node);
      else if (event.type === "run_finished") previews.clear(event.run_id);
      if (event.type === "node_finished" && typeof event["key"] === "string") results.renew(event["key"]);
      tell(events, event);
    },
    preview: (preview) => previews.put(preview),
    missed: () => tell(missed, undefined),
    connection: (next) => {
      connection = next;
      tell(watchers, next);
    },
  });
  socket.open();
  globalThis.addEventListener?.("online", () => socket.retry());
  return {
    client,
    previews,
    results,
    onEvent: (listener) => joining(events, listener),
    onConnection: (listener) => joining(watchers, listener),
    onMissed: (listener) => joining(missed, listener),
    connection: () => connection,
    retry: () => socket.retry(),
  };
}

let current: Session | null = null;

/** The session of this page; opened on first use. */
export function session(): Session {
  current ??= openSession(new Client({ token: takeToken() }));
  return current;
}

/** Tests put their own in place. */
export function useSessionOf(given: Session | null): void {
  current = given;
}

function joining<T>(all: Set<T>, one: T): () => void {
  all.add(one);
  return () => all.delete(one);
}

function tell<T>(listeners: ReadonlySet<(value: T) => void>, value: T): void {
  for (const listener of listeners) listener(value);
}
