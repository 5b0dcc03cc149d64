/** Queues runs and follows the one that the canvas shows. */

import type { RunEvent } from "../api/events";
import { ApiError, problemsOf, sentence } from "../api/problems";
import type { DocumentJson, PlanRequest, Run } from "../api/types";
import { tidied } from "../model/codec";
import { parseRef, type WorkflowDocument } from "../model/document";
import { type Dict, type Json, own, put } from "../model/json";
import { afterEvent, isActive, type NodeRun, queuedRun, type RunState } from "../model/runstate";
import type { EditorStore } from "./editor";
import type { Surroundings } from "./surroundings";

const KEY = "sdgraph.run";

export interface RunOptions {
  readonly inputs?: Dict<Json>;
  readonly outputs?: readonly string[];
}

export class Runner {
  /** The document that the shown run was asked with: its outputs say which nodes its results belong to. */
  private document: WorkflowDocument | null = null;
  /** Events of a run may be here before the answer that names it. */
  private early: RunEvent[] = [];
  private asking = false;

  constructor(
    private readonly store: EditorStore,
    private readonly around: Surroundings,
    private readonly ended: () => void,
  ) {}

  async run(options: RunOptions = {}): Promise<void> {
    const document = this.store.getState().history.present;
    const request: PlanRequest = { workflow: tidied(document) as unknown as DocumentJson, ...options };
    this.asking = true;
    try {
      const { run_id } = await this.around.api.enqueue(request);
      this.follow(run_id, document);
    } catch (error) {
      this.refused(error);
    } finally {
      this.asking = false;
      this.early = [];
    }
  }

  async cancel(): Promise<void> {
    const { run, notify } = this.store.getState();
    if (run === null || !isActive(run)) return;
    try {
      await this.around.api.cancel(run.id);
    } catch (error) {
      notify({ kind: "bad", text: sentence(error) });
    }
  }

  receive(event: RunEvent): void {
    if (this.asking) this.early.push(event);
    const { run } = this.store.getState();
    if (run === null || event.run_id !== run.id) return;
    const after = afterEvent(run, event);
    if (after !== run) this.store.setState({ run: after, ...this.made(event) });
    if (event.type === "run_finished") void this.finish(run.id);
  }

  /** After a reload: show the run again that this browser followed, if it is still going or has just ended. */
  async adopt(): Promise<void> {
    const id = this.around.kept(KEY);
    if (id === null || this.store.getState().run !== null) return;
    try {
      const found = await this.around.api.run(id);
      this.document = this.store.getState().history.present;
      this.store.setState({ run: this.told(queuedRun(id), found), made: this.keysOf(found) });
    } catch {
      this.around.keep(KEY, null); // the server knows nothing of it any more
    }
  }

  /** Ask for the shown run anew: events of it were missed. */
  async refresh(): Promise<void> {
    const { run } = this.store.getState();
    if (isActive(run) && run !== null) await this.finish(run.id);
  }

  private follow(id: string, document: WorkflowDocument): void {
    this.document = document;
    this.around.keep(KEY, id);
    const run = this.early.reduce(afterEvent, queuedRun(id));
    this.store.setState({ run });
    for (const event of this.early) if (event.run_id === id) this.store.setState(this.made(event));
    if (!isActive(run)) void this.finish(id);
  }

  private async finish(id: string): Promise<void> {
    this.ended();
    try {
      const found = await this.around.api.run(id);
      const { run } = this.store.getState();
      if (run?.id === id) this.store.setState({ run: this.told(run, found), made: this.keysOf(found) });
    } catch (error) {
      this.store.getState().notify({ kind: "bad", text: sentence(error) });
    }
  }

  /** The key that an event tells of, with those known before. */
  private made(event: RunEvent): { made?: Dict<string> } {
    const { key, node } = event;
    return node === undefined || typeof key !== "string" ? {} : { made: put(this.store.getState().made, node, key) };
  }

  private keysOf(found: Run): Dict<string> {
    const told = Object.entries(found.nodes ?? {}).flatMap(([id, { status, key }]) =>
      key && (status === "ran" || status === "hit") ? [[id, key] as const] : [],
    );
    return { ...this.store.getState().made, ...Object.fromEntries(told) };
  }

  private told(run: RunState, found: Run): RunState {
    const { outputs = {}, problems = [], nodes = {} } = found;
    const reported = Object.entries(nodes).map(([id, node]): [string, NodeRun] => {
      const elapsed = typeof node.elapsed_s === "number" ? { elapsed_s: node.elapsed_s } : {};
      const problem = problems.find((one) => one.node === id);
      return [id, { status: node.status, ...elapsed, ...(problem === undefined ? {} : { problem }) }];
    });
    return {
      ...run,
      phase: found.status,
      nodes: { ...run.nodes, ...Object.fromEntries(reported) },
      outputs,
      results: this.results(outputs),
      elapsed_s: found.elapsed_s ?? run.elapsed_s,
      problems,
    };
  }

  private results(outputs: Dict<readonly unknown[]>): Dict<readonly unknown[]> {
    const found = Object.entries(outputs).flatMap(([name, values]) => {
      const source = own(this.document?.outputs, name);
      return source === undefined ? [] : [[parseRef(source).node, values] as const];
    });
    return Object.fromEntries(found);
  }

  private refused(error: unknown): void {
    const { notify } = this.store.getState();
    if (error instanceof ApiError) this.store.setState({ problems: problemsOf(error) });
    notify({ kind: "bad", text: sentence(error) });
  }
}
