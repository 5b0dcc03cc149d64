/**
 * Keeps the workflow: a draft in this browser after every change, and a copy on the server once it has a name.
 *
 * A save names the version that was opened (If-Match). When another window or program saved meanwhile, nothing is
 * overwritten: saving stops until the person decides.
 */

import { ApiError, OfflineError, sentence } from "../api/problems";
import type { DocumentJson } from "../api/types";
import { readDocument, tidied } from "../model/codec";
import type { WorkflowDocument } from "../model/document";
import { startHistory } from "../model/history";
import type { EditorStore } from "./editor";
import type { FileState } from "./state";
import { Pause, type Surroundings, type Word } from "./surroundings";

const DRAFT_MS = 300;
const SAVE_MS = 1500;
const DRAFT = "sdgraph.draft";
const CONFLICT = 412;

/** A document as it is kept, with no name yet. */
export function keptFile(saved: WorkflowDocument): FileState {
  return { name: null, version: "", saved, state: "kept", shipped: false };
}

interface Draft {
  readonly document: unknown;
  readonly name: string | null;
  readonly version: string;
  readonly shipped: boolean;
  readonly changed: boolean;
}

export class Keeper {
  private readonly draft: Pause;
  private readonly autosave: Pause;

  constructor(
    private readonly store: EditorStore,
    private readonly around: Surroundings,
  ) {
    this.draft = new Pause(around, DRAFT_MS, () => this.keepDraft());
    this.autosave = new Pause(around, SAVE_MS, () => void this.put());
    around.hear((word) => this.heard(word));
  }

  /** The document changed: keep a draft soon, and save soon if it has a name of one's own. */
  changed(): void {
    this.draft.start();
    const { file, history } = this.store.getState();
    if (file.state === "changed-elsewhere") return;
    const state = history.present === file.saved && file.name !== null ? "kept" : "changed";
    if (file.state !== state && file.state !== "saving") this.setFile({ state });
    if (file.name !== null && !file.shipped && state === "changed") this.autosave.start();
    else this.autosave.stop();
  }

  /** Save now. Without a name of one's own there is nowhere to save to; `saveAs` asks for one. */
  async save(): Promise<void> {
    this.autosave.stop();
    const { file } = this.store.getState();
    if (file.name !== null && file.state !== "changed-elsewhere") await this.put();
  }

  /** Save under a name, which becomes the workflow's. */
  async saveAs(name: string): Promise<void> {
    this.autosave.stop();
    const before = this.store.getState().file;
    this.setFile({ name, version: "", shipped: false, state: "changed" });
    if (await this.put()) return;
    const { state } = this.store.getState().file;
    const taken = state === "changed-elsewhere";
    this.setFile({ ...before, state: "changed" });
    if (taken) {
      const hint = "Choose another name, or open that one first.";
      this.store.getState().notify({ kind: "bad", text: `There is a workflow \`${name}\` already.`, hint });
    }
  }

  async resolve(keep: "mine" | "theirs"): Promise<void> {
    const { file, openNamed } = this.store.getState();
    if (file.name === null) return;
    if (keep === "theirs") return openNamed(file.name);
    try {
      const { version } = await this.around.api.workflow(file.name);
      this.setFile({ version, state: "changed" });
      await this.put();
    } catch (error) {
      this.failed(error);
    }
  }

  /** Open what this browser had open before. */
  async restore(): Promise<void> {
    const draft = this.read();
    const read = draft === null ? null : readDocument(draft.document);
    if (draft === null || read === null || !read.ok) return;
    const { document } = read;
    const { name, version, shipped } = draft;
    // `saved` is unknown after a reload, so that a changed draft counts as changed whatever was saved.
    const file: FileState = {
      ...keptFile(document),
      name,
      version,
      shipped,
      state: draft.changed ? "changed" : "kept",
    };
    const saved = draft.changed ? { ...document } : document;
    const { opened } = this.store.getState();
    this.store.setState({ history: startHistory(document), file: { ...file, saved }, opened: opened + 1 });
    if (name !== null && !shipped) await this.compare(name, draft);
  }

  stop(): void {
    this.draft.stop();
    this.autosave.stop();
  }

  /** Save the document as it is. Returns whether it is kept. */
  private async put(): Promise<boolean> {
    const { file, history } = this.store.getState();
    if (file.name === null) return false;
    const { name, version } = file;
    const document = history.present;
    this.setFile({ state: "saving" });
    try {
      const saved = await this.around.api.save(name, tidied(document) as unknown as DocumentJson, version);
      const changed = this.store.getState().history.present !== document;
      this.setFile({ version: saved, saved: document, state: changed ? "changed" : "kept", shipped: false });
      this.around.tell({ kind: "saved", name, version: saved });
      this.keepDraft();
      if (changed) this.autosave.start();
      return true;
    } catch (error) {
      this.failed(error);
      return false;
    }
  }

  /** After a reload: was the workflow saved by somebody else meanwhile? */
  private async compare(name: string, draft: Draft): Promise<void> {
    try {
      const found = await this.around.api.workflow(name);
      if (found.version === draft.version) {
        if (draft.changed) this.autosave.start();
      } else if (draft.changed) this.setFile({ state: "changed-elsewhere" });
      else this.store.getState().openDocument(found.document, { name, version: found.version });
    } catch (error) {
      if (!(error instanceof ApiError || error instanceof OfflineError)) throw error;
      this.setFile({ state: "changed" });
    }
  }

  private heard(word: Word): void {
    const { file, openNamed, notify } = this.store.getState();
    if (word.kind !== "saved" || file.name !== word.name || file.version === word.version) return;
    this.autosave.stop();
    if (file.state === "kept") {
      void openNamed(word.name);
      notify({ kind: "info", text: `\`${word.name}\` was changed in another window.` });
    } else this.setFile({ state: "changed-elsewhere" });
  }

  private failed(error: unknown): void {
    if (error instanceof ApiError && error.status === CONFLICT) {
      this.setFile({ state: "changed-elsewhere" });
      return;
    }
    this.setFile({ state: "failed" });
    this.store.getState().notify({ kind: "bad", text: `Not saved: ${sentence(error)}` });
    // The network may come back; a workflow that the server refuses waits for the next change.
    if (error instanceof OfflineError) this.autosave.start();
  }

  private keepDraft(): void {
    const { file, history } = this.store.getState();
    const changed = file.state !== "kept";
    const { name, version, shipped } = file;
    this.around.keep(DRAFT, JSON.stringify({ document: history.present, name, version, shipped, changed } as Draft));
  }

  private read(): Draft | null {
    try {
      return JSON.parse(this.around.kept(DRAFT) ?? "null") as Draft | null;
    } catch {
      return null;
    }
  }

  private setFile(change: Partial<FileState>): void {
    this.store.setState({ file: { ...this.store.getState().file, ...change } });
  }
}
