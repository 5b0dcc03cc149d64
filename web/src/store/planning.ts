/** Keeps the plan up to date: asks the server after a pause, and for the newest document only. */

import { ApiError, problemsOf } from "../api/problems";
import type { DocumentJson } from "../api/types";
import { tidied } from "../model/codec";
import type { WorkflowDocument } from "../model/document";
import { withFound } from "../model/made";
import type { EditorStore } from "./editor";
import { Pause, type Surroundings } from "./surroundings";

const PAUSE_MS = 200;

export class Planner {
  private readonly pause: Pause;
  private asked: WorkflowDocument | null = null;
  private leave: AbortController | null = null;

  constructor(
    private readonly store: EditorStore,
    private readonly around: Surroundings,
  ) {
    this.pause = new Pause(around, PAUSE_MS, () => this.now());
  }

  /** Plan after a pause, if anything but the view has changed. */
  soon(): void {
    const { present } = this.store.getState().history;
    if (this.asked !== null && isSameWork(this.asked, present)) return;
    this.leave?.abort();
    this.pause.start();
  }

  /** Plan at once. */
  now(): void {
    this.pause.stop();
    this.leave?.abort();
    const document = this.store.getState().history.present;
    this.asked = document;
    if (Object.keys(document.nodes).length === 0) {
      this.store.setState({ plan: { status: "none", plan: null }, problems: [] });
      return;
    }
    this.leave = new AbortController();
    void this.ask(document, this.leave.signal);
  }

  stop(): void {
    this.pause.stop();
    this.leave?.abort();
  }

  private async ask(document: WorkflowDocument, signal: AbortSignal): Promise<void> {
    const { plan: before } = this.store.getState();
    this.store.setState({ plan: { ...before, status: "planning" } });
    try {
      const plan = await this.around.api.plan({ workflow: tidied(document) as unknown as DocumentJson }, signal);
      if (signal.aborted) return;
      const made = withFound(this.store.getState().made, plan);
      this.store.setState({ plan: { status: "ready", plan }, problems: plan.problems, made });
    } catch (error) {
      if (signal.aborted) return;
      const invalid = error instanceof ApiError;
      // An error of the workflow stays until the workflow changes; a lost connection may come back.
      if (!invalid) this.asked = null;
      const plan = { ...this.store.getState().plan, status: invalid ? "invalid" : "offline" } as const;
      this.store.setState(invalid ? { plan, problems: problemsOf(error) } : { plan });
    }
  }
}

/** Whether two documents differ in their view at most, which no plan depends on. */
export function isSameWork(a: WorkflowDocument, b: WorkflowDocument): boolean {
  return (
    a === b ||
    (a.nodes === b.nodes &&
      a.graphs === b.graphs &&
      a.inputs === b.inputs &&
      a.outputs === b.outputs &&
      a.name === b.name)
  );
}
