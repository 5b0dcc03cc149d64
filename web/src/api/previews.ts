/** The newest preview of every node as an object URL. A URL that is replaced is revoked, so that nothing piles up. */

import type { Preview } from "./frames";

type Listener = () => void;

/** Has a lifecycle: previews go when their node or run ends. */
export class PreviewStore {
  private readonly shown = new Map<string, { readonly run: string; readonly url: string }>();
  private readonly listeners = new Set<Listener>();

  /** Take a preview in place of the node's last one. */
  put(preview: Preview): void {
    this.drop(preview.node);
    const url = URL.createObjectURL(new Blob([preview.bytes], { type: preview.media_type }));
    this.shown.set(preview.node, { run: preview.run_id, url });
    this.tell();
  }

  /** The address of a node's newest preview; with `run` only when it is of that run. */
  get(node: string, run?: string): string | undefined {
    const found = this.shown.get(node);
    return run === undefined || found?.run === run ? found?.url : undefined;
  }

  /** The address of the newest preview of a node, or of one inside it. */
  under(node: string): string | undefined {
    const inside = [...this.shown].filter(([path]) => path === node || path.startsWith(`${node}/`));
    return inside.at(-1)?.[1].url;
  }

  /** Forget a node's preview: its result is there, or its run has ended. */
  remove(node: string): void {
    if (this.drop(node)) this.tell();
  }

  /** Forget all of a run. */
  clear(run: string): void {
    const nodes = [...this.shown].filter(([, found]) => found.run === run).map(([node]) => node);
    for (const node of nodes) this.drop(node);
    if (nodes.length > 0) this.tell();
  }

  /** Call `listener` after every change; returns what ends that. */
  readonly subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private drop(node: string): boolean {
    const found = this.shown.get(node);
    if (found === undefined) return false;
    URL.revokeObjectURL(found.url);
    return this.shown.delete(node);
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}
