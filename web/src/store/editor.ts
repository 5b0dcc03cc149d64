/** The store: one state, changed by actions; planning, keeping and running stand beside it in files of their own. */

import { createStore, type StoreApi } from "zustand/vanilla";
import type { RunEvent } from "../api/events";
import { ApiError, OfflineError, problemsOf, sentence } from "../api/problems";
import type { Catalog } from "../model/catalog";
import { readDocument } from "../model/codec";
import { emptyDocument, openGraphName, type WorkflowDocument } from "../model/document";
import { inputValues, shownAtLeast } from "../model/exposed";
import { record, redo, settle, startHistory, undo } from "../model/history";
import { own } from "../model/json";
import { Keeper, keptFile } from "./keeping";
import { Planner } from "./planning";
import { placeIn } from "./reveal";
import { Runner } from "./running";
import { rolled } from "./seeds";
import type { EditorData, EditorState, FileState, Notice } from "./state";
import type { Surroundings } from "./surroundings";

export type EditorStore = StoreApi<EditorState>;

const NOTICES = 4;
const EMPTY_CATALOG: Catalog = { schema: "sdgraph/catalog@1", nodes: {}, port_types: {}, packs: {}, problems: [] };

/** The store with what works in the background; `close` ends that. */
export interface Editor {
  readonly store: EditorStore;
  /** Load the catalogue and what this window had open. */
  start(): Promise<void>;
  receive(event: RunEvent): void;
  /** Events were missed for good. */
  catchUp(): Promise<void>;
  close(): void;
}

export function createEditor(around: Surroundings): Editor {
  const store = createStore<EditorState>()((set, get) => ({ ...initial(), ...actions(set, get) }));
  const planner = new Planner(store, around);
  const runner = new Runner(store, around, () => planner.now());
  const keeper = new Keeper(store, around);
  let count = 0;

  function initial(): EditorData {
    const document = emptyDocument();
    return {
      catalog: EMPTY_CATALOG,
      loading: "loading",
      history: startHistory(document),
      opened: 0,
      path: [],
      selection: new Set(),
      file: keptFile(document),
      plan: { status: "none", plan: null },
      problems: [],
      run: null,
      made: {},
      notices: [],
      focus: null,
    };
  }

  type Set_ = StoreApi<EditorState>["setState"];
  type Get = StoreApi<EditorState>["getState"];

  function actions(set: Set_, get: Get): Omit<EditorState, keyof EditorData> {
    const show = (document: WorkflowDocument, file: FileState) => {
      set({
        history: startHistory(document),
        path: [],
        selection: new Set(),
        file,
        run: null,
        made: {},
        focus: null,
        problems: [],
      });
      set({ plan: { status: "none", plan: null }, opened: get().opened + 1 });
      planner.soon();
    };
    const step = (change: typeof undo) => {
      const history = change(get().history);
      if (history === get().history) return;
      set({ history, ...stillThere(get(), history.present) });
      keeper.changed();
      planner.soon();
    };
    return {
      apply(command, options = {}) {
        const { history } = get();
        const document = command(history.present);
        if (document === history.present) return;
        const { label = "edit", merge } = options;
        const change = { label, at_ms: around.now_ms(), ...(merge === undefined ? {} : { merge }) };
        set({ history: record(history, document, change), ...stillThere(get(), document) });
        keeper.changed();
        planner.soon();
      },
      undo: () => step(undo),
      redo: () => step(redo),
      select(ids) {
        const next = new Set(ids);
        const { selection, history } = get();
        if (next.size === selection.size && [...next].every((id) => selection.has(id))) return;
        set({ selection: next, history: settle(history) });
      },
      openGraph(name) {
        if (name === null) set({ path: [], selection: new Set() });
        else if (own(get().history.present.graphs, name) !== undefined)
          set({ path: [...get().path, name], selection: new Set() });
      },
      leaveGraph: (levels = 1) => set({ path: get().path.slice(0, -levels), selection: new Set() }),
      reveal(node, port) {
        const place = placeIn(get().history.present, node);
        if (place === null) return;
        const focus = { node: place.id, seq: ++count, ...(port === undefined ? {} : { port }) };
        set({ path: place.path, selection: new Set([place.id]), focus });
      },
      openDocument(data, file) {
        const read = readDocument(data);
        if (!read.ok) {
          const { message, hint } = read.problem;
          get().notify({ kind: "bad", text: message, ...(hint ? { hint } : {}) });
          return;
        }
        show(read.document, { ...keptFile(read.document), state: file?.name ? "kept" : "changed", ...file });
        keeper.changed();
      },
      async openNamed(name) {
        try {
          const { document, version } = await around.api.workflow(name);
          get().openDocument(document, { name, version });
        } catch (error) {
          get().notify({ kind: "bad", text: sentence(error) });
        }
      },
      newDocument() {
        const document = emptyDocument();
        show(document, keptFile(document));
        keeper.changed();
      },
      save: () => keeper.save(),
      saveAs: (name) => keeper.saveAs(name),
      resolveConflict: (keep) => keeper.resolve(keep),
      refreshPlan: () => planner.soon(),
      startRun(options) {
        get().apply((doc) => rolled(doc), { label: "draw new seeds" });
        get().apply((doc) => shownAtLeast(get().catalog, doc), { label: "Show what the last nodes make" });
        // Given as inputs as well, so that the history can tell and be searched by them.
        return runner.run({ inputs: inputValues(get().history.present), ...options });
      },
      cancelRun: () => runner.cancel(),
      notify(notice) {
        const added: Notice = { ...notice, id: ++count };
        const same = (other: Notice) => other.text === notice.text;
        set({ notices: [...get().notices.filter((other) => !same(other)), added].slice(-NOTICES) });
      },
      dismiss: (id) => set({ notices: get().notices.filter((notice) => notice.id !== id) }),
    };
  }

  return {
    store,
    async start() {
      try {
        store.setState({ catalog: (await around.api.catalog()) as Catalog, loading: "ready" });
      } catch (error) {
        store.setState({ loading: "failed", problems: problemsOf(error) });
        if (!(error instanceof ApiError || error instanceof OfflineError)) throw error;
      }
      await keeper.restore();
      await runner.adopt();
      planner.now();
    },
    receive: (event) => runner.receive(event),
    catchUp: () => runner.refresh(),
    close() {
      planner.stop();
      keeper.stop();
    },
  };
}

/** What remains open and selected when the document becomes another one. */
function stillThere(state: EditorState, document: WorkflowDocument): Partial<EditorData> {
  const gone = state.path.findIndex((name) => own(document.graphs, name) === undefined);
  const path = gone < 0 ? state.path : state.path.slice(0, gone);
  if (path !== state.path) return { path, selection: new Set() };
  const at = openGraphName(path);
  const nodes = at === null ? document.nodes : (own(document.graphs, at)?.nodes ?? {});
  const kept = [...state.selection].filter((id) => id.startsWith("@") || own(nodes, id) !== undefined);
  return kept.length === state.selection.size ? {} : { selection: new Set(kept) };
}
