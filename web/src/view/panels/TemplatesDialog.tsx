/** The workflows that the server has: the templates that ship, with what they draw, and one's own. */

import { useEffect, useMemo, useState } from "react";
import { sentence } from "../../api/problems";
import { session } from "../../api/session";
import type { WorkflowEntry } from "../../api/types";
import { useEditor } from "../../store/context";
import { Picture } from "../widgets/icons";
import { titled } from "../widgets/port";
import { SearchField } from "../widgets/SearchField";
import { Words } from "../widgets/Words";
import { Dialog } from "./Dialog";
import { dialogs } from "./dialogs";
import styles from "./TemplatesDialog.module.css";

/** Pictures that the gallery of the documentation shows, by the workflow that drew them. */
const PICTURES: Readonly<Record<string, string>> = import.meta.glob("../../../../docs/pictures/*.png", {
  eager: true,
  query: "?url",
  import: "default",
});

export function pictureOf(name: string): string | undefined {
  return PICTURES[`../../../../docs/pictures/${name}.png`];
}

/** What most people begin with; the others follow by name. */
const FIRST = ["txt2img", "img2img", "controlnet_canny", "staged_dynamic_cfg", "multistage"];

function rank({ name }: WorkflowEntry): number {
  return FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length;
}

export function TemplatesDialog() {
  const [entries, setEntries] = useState<readonly WorkflowEntry[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [text, setText] = useState("");
  useEffect(() => {
    session()
      .client.workflows()
      .then(setEntries)
      .catch((error: unknown) => setProblem(sentence(error)));
  }, []);
  const found = useMemo(() => matching(entries ?? [], text), [entries, text]);
  const own = found.filter((entry) => !entry.shipped);
  const shipped = found.filter((entry) => entry.shipped).sort((a, b) => rank(a) - rank(b));
  const search = (
    <SearchField
      value={text}
      onChange={setText}
      placeholder="Search"
      label="Search workflows"
      className={styles.search}
    />
  );
  return (
    <Dialog title="Open a workflow" onClose={dialogs.close} wide aside={search}>
      {problem && <p role="alert">{problem}</p>}
      <Shelf title="Your own" entries={own} />
      <Shelf title="Templates" entries={shipped} />
      {entries && found.length === 0 && <p className={styles.none}>Nothing has these words.</p>}
    </Dialog>
  );
}

function Shelf({ title, entries }: { readonly title: string; readonly entries: readonly WorkflowEntry[] }) {
  const openDocument = useEditor((state) => state.openDocument);
  const notify = useEditor((state) => state.notify);
  const open = ({ name, shipped }: WorkflowEntry) => {
    dialogs.close();
    session()
      .client.workflow(name)
      .then(({ document, version }) => openDocument(document, { name, version, shipped }))
      .catch((error: unknown) => notify({ kind: "bad", text: sentence(error) }));
  };
  if (entries.length === 0) return null;
  return (
    <section className={styles.shelf}>
      <h3 className={styles.title}>{title}</h3>
      <ul className={styles.grid}>
        {entries.map((entry) => (
          <li key={entry.name}>
            <button type="button" className={styles.card} data-name={entry.name} onClick={() => open(entry)}>
              <span className={styles.picture}>
                {pictureOf(entry.name) ? <img src={pictureOf(entry.name)} alt="" loading="lazy" /> : <Picture />}
              </span>
              <span className={styles.name}>{shownName(entry.title || entry.name)}</span>
              <span className={styles.says}>
                <Words>{entry.description}</Words>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Words that people write in their own way. */
const SPELT: Readonly<Record<string, string>> = {
  cfg: "CFG",
  clip: "CLIP",
  controlnet: "ControlNet",
  flux: "FLUX",
  img2img: "img2img",
  ip: "IP",
  lora: "LoRA",
  loras: "LoRAs",
  sd3: "SD3",
  sdxl: "SDXL",
  t2i: "T2I",
  txt2img: "txt2img",
  vae: "VAE",
};

/** `ip_adapter` as "IP adapter". */
export function shownName(name: string): string {
  const [first = "", ...rest] = name.split("_");
  return [SPELT[first] ?? titled(first), ...rest.map((word) => SPELT[word] ?? word)].join(" ");
}

/** Workflows that have every word in their name or description. */
export function matching(entries: readonly WorkflowEntry[], text: string): readonly WorkflowEntry[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const of = (entry: WorkflowEntry) => `${entry.name} ${entry.title} ${entry.description}`.toLowerCase();
  return entries.filter((entry) => words.every((word) => of(entry).includes(word)));
}
