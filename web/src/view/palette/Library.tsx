/** The library at the left: every node by category, to drag onto the canvas or to add with a press. */

import { useMemo, useState } from "react";
import { openGraphName } from "../../model/document";
import { useEditor } from "../../store/context";
import { add } from "../canvas/adding";
import { spot } from "../canvas/context";
import { useCanvas } from "../canvas/provide";
import { ui } from "../canvas/ui";
import { DRAGGED } from "../canvas/useDropping";
import { categoryColor } from "../canvas/words";
import { Chevron, Down, Search } from "../ui/icons";
import { tip } from "../ui/Tip";
import { entriesOf, type Found, grouped, remember, search } from "./entries";
import { Letters } from "./Letters";
import styles from "./Library.module.css";

export function Library() {
  const catalog = useEditor((state) => state.catalog);
  const doc = useEditor((state) => state.history.present);
  const at = useEditor((state) => openGraphName(state.path));
  const [query, setQuery] = useState("");
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const entries = useMemo(() => entriesOf(catalog, doc, at), [catalog, doc, at]);
  const groups = useMemo(() => {
    const found = search(entries, query);
    return query.trim() === "" ? grouped(found, catalog, []) : [["Found", found] as const];
  }, [entries, query, catalog]);
  const toggle = (name: string) => {
    const next = new Set(closed);
    if (!next.delete(name)) next.add(name);
    setClosed(next);
  };
  return (
    <aside className={styles.library} aria-label="Library of nodes">
      <label className={styles.search}>
        <Search />
        <input
          value={query}
          placeholder="Search nodes"
          aria-label="Search nodes"
          onChange={(event) => setQuery(event.target.value)}
        />
      </label>
      <div className={styles.groups}>
        {groups.map(([name, items]) => (
          <section key={name}>
            <h3>
              <button type="button" aria-expanded={!closed.has(name)} onClick={() => toggle(name)}>
                {closed.has(name) ? <Chevron /> : <Down />}
                {name}
                <span>{items.length}</span>
              </button>
            </h3>
            {!closed.has(name) && (
              <ul>
                {items.map((entry) => (
                  <Item key={entry.type} entry={entry} />
                ))}
              </ul>
            )}
          </section>
        ))}
      </div>
    </aside>
  );
}

function Item({ entry }: { readonly entry: Found }) {
  const context = useCanvas();
  return (
    <li>
      <button
        type="button"
        className={styles.item}
        draggable
        onDragStart={(event) => {
          event.dataTransfer.setData(DRAGGED, entry.type);
          event.dataTransfer.effectAllowed = "copy";
          ui.drag(entry.type);
        }}
        onDragEnd={() => ui.drag(null)}
        onClick={() => {
          remember(entry.type);
          add(context, entry.type, spot(context).place);
        }}
        {...tip(() => entry.doc.split("\n\n")[0], "right")}
      >
        <span className={styles.dot} style={{ background: categoryColor(entry.category) }} />
        <span className={styles.name}>
          <Letters text={entry.title} at={entry.at} />
        </span>
      </button>
    </li>
  );
}
