/** The right side: one panel at a time, chosen by tabs. */

import { type ReactNode, useState } from "react";
import { useEditor } from "../../store/context";
import { HistoryPanel } from "../history/HistoryPanel";
import { InputsPanel } from "../inputs/InputsPanel";
import styles from "./Dock.module.css";
import { Inspector } from "./Inspector";
import { ProblemsPanel } from "./ProblemsPanel";
import { QueuePanel } from "./QueuePanel";

const TABS = [
  ["inspector", "Node", () => <Inspector />],
  ["inputs", "Inputs", () => <InputsPanel />],
  ["queue", "Queue", () => <QueuePanel />],
  ["history", "History", () => <HistoryPanel />],
  ["problems", "Problems", () => <ProblemsPanel />],
] as const satisfies readonly (readonly [string, string, () => ReactNode])[];

type Tab = (typeof TABS)[number][0];

const KEY = "sdgraph.dock";

export function Dock() {
  const [tab, setTab] = useState<Tab>(remembered);
  const wrong = useEditor((state) => state.problems.length);
  const shown = TABS.find(([name]) => name === tab) ?? TABS[0];
  const choose = (name: Tab) => {
    setTab(name);
    sessionStorage.setItem(KEY, name);
  };
  return (
    <aside className={styles.dock} aria-label="Panels">
      <div
        className={styles.tabs}
        role="tablist"
        aria-label="Panels"
        onKeyDown={(event) => {
          const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          if (step === undefined) return;
          const at = TABS.findIndex(([name]) => name === tab);
          const next = TABS[(at + step + TABS.length) % TABS.length];
          if (next) choose(next[0]);
          (event.currentTarget.children[(at + step + TABS.length) % TABS.length] as HTMLElement).focus();
        }}
      >
        {TABS.map(([name, word]) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-selected={name === shown[0]}
            aria-controls="dock-panel"
            tabIndex={name === shown[0] ? 0 : -1}
            onClick={() => choose(name)}
          >
            {word}
            {name === "problems" && wrong > 0 && <span className={styles.count}>{wrong}</span>}
          </button>
        ))}
      </div>
      <div id="dock-panel" role="tabpanel" aria-labelledby={`tab-${shown[0]}`} className={styles.panel}>
        {shown[2]()}
      </div>
    </aside>
  );
}

function remembered(): Tab {
  const kept = sessionStorage.getItem(KEY);
  return TABS.find(([name]) => name === kept)?.[0] ?? "inspector";
}
