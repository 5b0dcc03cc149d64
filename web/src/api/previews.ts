/** The newest preview of every node as an object URL. A URL that is replaced is revoked, so that nothing piles up. */

import type { Preview } from "./frames";

type Listener = () => void;

/** Has a lifecycle: `clear` when the document closes. */
export class PreviewStore {
  private readonly urls = new Map<string, string>();
  private readonly listeners = new Set<Listener>();

  /** Take a preview in place of the node's last one. */
  put(preview: Preview): void {
    this.drop(preview.node);
    const url = URL.createObjectURL(new Blob([preview.bytes], { type: preview.media_type }));
    this.urls.set(preview.node, url);
    this.tell();
  }

  /** The address of a node's newest preview. */
  get(node: string): string | undefined {
    return this.urls.get(node);
  }

  /** Forget a node's preview: its result is there, or its run has ended. */
  remove(node: string): void {
    if (this.drop(node)) this.tell();
  }

  /** Forget all. */
  clear(): void {
    if (this.urls.size === 0) return;
    for (const node of [...this.urls.keys()]) this.drop(node);
    this.tell();
  }

  /** Call `listener` after every change; returns what ends that. */
  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private drop(node: string): boolean {
    const url = this.urls.get(node);
    if (url === undefined) return false;
    URL.revokeObjectURL(url);
    return this.urls.delete(node);
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}
