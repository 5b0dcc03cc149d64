/** The palette: search a node by a few letters, and add it with Enter. Drawn from a port it offers what fits. */

import { useMemo, useState } from "react";
import { openGraphName } from "../../model/document";
import { useEditor } from "../../store/context";
import { add } from "../canvas/adding";
import { useCanvas } from "../canvas/provide";
import { type PaletteRequest, ui, useCanvasUi } from "../canvas/ui";
import { categoryColor, categoryText } from "../canvas/words";
import { entriesOf, type Found, fitting, grouped, recentTypes, remember, search } from "./entries";
import { Letters } from "./Letters";
import styles from "./Palette.module.css";
import { Picker } from "./Picker";

export function PaletteHost() {
  const request = useCanvasUi((state) => state.palette);
  return request === null ? null : <Palette request={request} />;
}

function Palette({ request }: { readonly request: PaletteRequest }) {
  const context = useCanvas();
  const catalog = useEditor((state) => state.catalog);
  const doc = useEditor((state) => state.history.present);
  const at = useEditor((state) => openGraphName(state.path));
  const [query, setQuery] = useState("");
  const entries = useMemo(() => {
    const all = entriesOf(catalog, doc, at);
    return request.end === undefined ? all : fitting(all, request.end);
  }, [catalog, doc, at, request.end]);
  const recent = useMemo(recentTypes, []);
  const found = useMemo(() => search(entries, query, recent), [entries, query, recent]);
  const groups: [string, Found[]][] = useMemo(() => {
    if (query.trim() !== "") return [["", found]];
    return request.end === undefined ? grouped(found, catalog, recent) : [["", found]];
  }, [found, query, request.end, catalog, recent]);
  const choose = (entry: Found) => {
    ui.closePalette();
    remember(entry.type);
    add(context, entry.type, request.place, request.end);
  };
  const end = request.end;
  return (
    <Picker
      at={request.at}
      label="Add a node"
      placeholder={
        end === undefined ? "Search nodes" : `Nodes that ${end.side === "output" ? "take" : "give"} ${end.type}`
      }
      query={query}
      onQuery={setQuery}
      groups={groups}
      keyOf={(entry) => entry.type}
      onChoose={choose}
      onClose={ui.closePalette}
      empty={
        end === undefined ? "No node matches." : `No node ${end.side === "output" ? "takes" : "gives"} ${end.type}.`
      }
      about={(entry) => <About entry={entry} />}
    >
      {(entry) => (
        <>
          <span className={styles.dot} style={{ background: categoryColor(entry.category) }} />
          <span className={styles.title}>
            <Letters text={entry.title} at={entry.at} />
          </span>
          <span className={styles.aside}>{categoryText(entry.category)}</span>
        </>
      )}
    </Picker>
  );
}

function About({ entry }: { readonly entry: Found }) {
  const gives = entry.ports.outputs.map((port) => port.type).join(", ");
  return (
    <>
      <p>{entry.doc.split("\n\n")[0]}</p>
      <p className={styles.aside}>
        {entry.type}
        {gives !== "" && ` \u2192 ${gives}`}
      </p>
    </>
  );
}
