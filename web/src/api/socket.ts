/**
 * The event socket. It reconnects by itself with growing waits and asks for what it missed by the number of the last
 * event it has seen, so that every event arrives once and in order.
 */

import { isNumbered, type RunEvent, readEvent, readForgotten } from "./events";
import { type Preview, readFrame } from "./frames";

/** `waiting` means: the connection is lost, and the next attempt is at `retryAt`. */
export type Connection =
  | { readonly state: "connecting" | "open" | "closed" }
  | { readonly state: "waiting"; readonly retryAt: number; readonly attempt: number };

/** What the socket needs of the world; tests give another one. */
export interface Surroundings {
  readonly connect: (url: string) => WebSocket;
  readonly now: () => number;
  readonly later: (call: () => void, ms: number) => unknown;
  readonly never: (timer: unknown) => void;
  /** 0..1: spreads the attempts of many clients. */
  readonly random: () => number;
}

export interface SocketListener {
  event(event: RunEvent): void;
  preview(preview: Preview): void;
  connection(connection: Connection): void;
  /** Events were missed that will not come again: whoever keeps something by events asks for it anew. */
  missed(): void;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** How long to wait before attempt `attempt` (0, 1, ...): doubling up to 15 s, half of it left to chance. */
export function backoffMs(attempt: number, random: number): number {
  const full = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt);
  return full / 2 + (full / 2) * random;
}

const browser: Surroundings = {
  connect: (url) => new WebSocket(url),
  now: () => Date.now(),
  later: (call, ms) => window.setTimeout(call, ms),
  never: (timer) => window.clearTimeout(timer as number),
  random: () => Math.random(),
};

/** Has a lifecycle: `open`, then `close`. */
export class EventSocket {
  private socket: WebSocket | null = null;
  private timer: unknown = null;
  private attempt = 0;
  private last: number | null = null;
  private wasOpen = false;

  constructor(
    private readonly url: string,
    private readonly listener: SocketListener,
    private readonly around: Surroundings = browser,
  ) {}

  /** Connect. With `after`, events after that number come first. */
  open(after: number | null = null): void {
    this.last = after;
    this.connect();
  }

  /** Try again at once: a person asked for it, or the machine came back from sleep. */
  retry(): void {
    if (this.socket !== null) return;
    this.around.never(this.timer);
    this.connect();
  }

  /** End for good. */
  close(): void {
    this.around.never(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.listener.connection({ state: "closed" });
  }

  private connect(): void {
    this.listener.connection({ state: "connecting" });
    const socket = this.around.connect(this.url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.opened(socket);
    socket.onmessage = (message: MessageEvent<unknown>) => this.take(message.data);
    socket.onclose = () => this.lost(socket);
    this.socket = socket;
  }

  private opened(socket: WebSocket): void {
    if (this.socket !== socket) return;
    this.attempt = 0;
    socket.send(JSON.stringify(this.last === null ? {} : { after: this.last }));
    this.listener.connection({ state: "open" });
    // Without a number to go on from, the server only tells what happens from here on.
    if (this.wasOpen && this.last === null) this.listener.missed();
    this.wasOpen = true;
  }

  private take(data: unknown): void {
    if (data instanceof ArrayBuffer) {
      const preview = readFrame(data);
      if (preview) this.listener.preview(preview);
      return;
    }
    if (typeof data !== "string") return;
    const forgotten = readForgotten(data);
    if (forgotten !== null) {
      this.last = forgotten.seq;
      this.listener.missed();
      return;
    }
    const event = readEvent(data);
    if (event === null) return;
    if (isNumbered(event)) {
      if (event.seq <= (this.last ?? -1)) return;
      this.last = event.seq;
    }
    this.listener.event(event);
  }

  private lost(socket: WebSocket): void {
    if (this.socket !== socket) return;
    this.socket = null;
    const wait = backoffMs(this.attempt, this.around.random());
    this.attempt += 1;
    this.timer = this.around.later(() => this.connect(), wait);
    this.listener.connection({ state: "waiting", retryAt: this.around.now() + wait, attempt: this.attempt });
  }
}
