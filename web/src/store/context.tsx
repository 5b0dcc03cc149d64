/** How components reach the store. */

import { createContext, type ReactNode, useContext } from "react";
import { type StoreApi, useStore } from "zustand";
import type { EditorState } from "./state";

const Editor = createContext<StoreApi<EditorState> | null>(null);

export function EditorProvider({ store, children }: { store: StoreApi<EditorState>; children: ReactNode }) {
  return <Editor.Provider value={store}>{children}</Editor.Provider>;
}

/** The store itself, for reading in event handlers without rendering again. */
export function useEditorStore(): StoreApi<EditorState> {
  const store = useContext(Editor);
  if (store === null) throw new Error("useEditor needs an EditorProvider above it");
  return store;
}

/** A part of the state; the component renders again when that part changes. */
export function useEditor<T>(select: (state: EditorState) => T): T {
  return useStore(useEditorStore(), select);
}
