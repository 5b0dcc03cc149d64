/** The menu of the workflow: new, open, recent, save, export. */

import { useEffect, useRef, useState } from "react";
import { sentence } from "../../api/problems";
import { session } from "../../api/session";
import { useEditor, useEditorStore } from "../../store/context";
import { action } from "../canvas/actions";
import { useCanvas } from "../canvas/provide";
import { documentIn } from "../panels/openFile";
import { Down } from "../ui/icons";
import { type MenuEntry, MenuList } from "../ui/MenuList";
import { recentNames, rememberName } from "./recent";
import styles from "./TopBar.module.css";

export function FileMenu() {
  const context = useCanvas();
  const store = useEditorStore();
  const name = useEditor((state) => state.file.name);
  const button = useRef<HTMLButtonElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const [at, setAt] = useState<{ x: number; y: number } | null>(null);
  useEffect(() => {
    if (name !== null) rememberName(name);
  }, [name]);
  const open = () => {
    const { left = 0, bottom = 0 } = button.current?.getBoundingClientRect() ?? {};
    setAt({ x: left, y: bottom + 6 });
  };
  const from = (id: string): MenuEntry => {
    const { title, keys, run } = action(id);
    return { kind: "item", title, ...(keys?.[0] ? { keys: keys[0] } : {}), run: () => run(context) };
  };
  const recent = recentNames().filter((other) => other !== name);
  const entries: MenuEntry[] = [
    { kind: "item", title: "New workflow", run: () => store.getState().newDocument() },
    from("templates"),
    { kind: "item", title: "Open a picture or file\u2026", run: () => picker.current?.click() },
    ...(recent.length > 0 ? [{ kind: "line" } as const] : []),
    ...recent.map((other): MenuEntry => ({ kind: "item", title: other, run: () => void openRecent(store, other) })),
    { kind: "line" },
    from("save"),
    from("save-as"),
    from("export"),
    from("image"),
    { kind: "line" },
    from("help"),
  ];
  return (
    <>
      <button
        ref={button}
        type="button"
        className={styles.logo}
        aria-haspopup="menu"
        aria-expanded={at !== null}
        aria-label="Workflow menu"
        onClick={open}
      >
        <Logo />
        <Down />
      </button>
      {at !== null && <MenuList at={at} label="Workflow" entries={entries} onClose={() => setAt(null)} />}
      <input
        ref={picker}
        type="file"
        hidden
        accept=".json,.png,application/json,image/png"
        onChange={(event) => {
          const [file] = event.target.files ?? [];
          event.target.value = "";
          if (file === undefined) return;
          documentIn(file)
            .then((found) => store.getState().openDocument(found))
            .catch((error: unknown) => store.getState().notify({ kind: "bad", text: sentence(error) }));
        }}
      />
    </>
  );
}

async function openRecent(store: ReturnType<typeof useEditorStore>, name: string): Promise<void> {
  const there = await session()
    .client.workflows()
    .catch(() => []);
  const found = there.find((entry) => entry.name === name);
  await store.getState().openNamed(name);
  if (found?.shipped) store.setState((state) => ({ file: { ...state.file, shipped: true } }));
}

function Logo() {
  return (
    <svg viewBox="0 0 32 32" width="1.375rem" height="1.375rem" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="var(--accent)" />
      <path d="M9.5 10.5h4a4 4 0 0 1 4 4v3a4 4 0 0 0 4 4h1" stroke="#fff" strokeWidth="2.2" fill="none" />
      <circle cx="9" cy="10.5" r="3" fill="#fff" />
      <circle cx="23" cy="21.5" r="3" fill="#fff" />
      <circle cx="22.5" cy="10.5" r="2.2" fill="#c7d2fe" />
    </svg>
  );
}
