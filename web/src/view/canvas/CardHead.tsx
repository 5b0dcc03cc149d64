/** The head of a node: its title, which can be changed in place, its mode, and its menu. */

import { type KeyboardEvent, useEffect, useRef } from "react";
import { type NodeEntry, openGraphName } from "../../model/document";
import { setLabel, subgraphOf } from "../../model/nodes";
import type { NodePorts } from "../../model/ports";
import { useEditor } from "../../store/context";
import { Dots, Layers } from "../ui/icons";
import { tip } from "../ui/Tip";
import styles from "./NodeCard.module.css";
import { ui, useCanvasUi } from "./ui";
import { titleText } from "./words";

export interface CardHeadProps {
  readonly id: string;
  readonly entry: NodeEntry;
  readonly ports: NodePorts;
  /** Too small to be pressed. */
  readonly tiny: boolean;
}

export function CardHead({ id, entry, ports, tiny }: CardHeadProps) {
  const renaming = useCanvasUi((state) => state.renaming === id);
  const openGraph = useEditor((state) => state.openGraph);
  const inner = useEditor((state) => subgraphOf(state.history.present, entry));
  const title = entry.label || titleText(ports.title);
  const about = ports.doc.split("\n\n")[0];
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the pointer's short way; the menu and keys do it too
    <header className={styles.head} onDoubleClick={() => (inner === null ? ui.rename(id) : openGraph(inner))}>
      {renaming ? (
        <TitleField id={id} title={entry.label ?? ""} usual={titleText(ports.title)} />
      ) : (
        <h3
          className={styles.title}
          {...tip(() => <TitleTip title={titleText(ports.title)} type={entry.type} about={about} />)}
        >
          {ports.kind === "subgraph" && <Layers />}
          {tiny ? cut(title) : title}
        </h3>
      )}
      {ports.kind === "unknown" && <span className={styles.badge}>Unknown</span>}
      {ports.kind === "newer" && <span className={styles.badge}>Newer</span>}
      {entry.mode && <span className={styles.badge}>{entry.mode === "mute" ? "Muted" : "Bypassed"}</span>}
      {!tiny && <MenuButton id={id} title={title} />}
    </header>
  );
}

/** What fits without being clipped: a clip costs more than all letters. */
const LETTERS = 26;

function cut(title: string): string {
  return title.length > LETTERS ? `${title.slice(0, LETTERS - 1)}\u2026` : title;
}

function MenuButton({ id, title }: { readonly id: string; readonly title: string }) {
  const select = useEditor((state) => state.select);
  return (
    <button
      type="button"
      className={`nodrag ${styles.menu}`}
      aria-label={`Menu of ${title}`}
      aria-haspopup="menu"
      onClick={(event) => {
        event.stopPropagation();
        const { left, bottom } = event.currentTarget.getBoundingClientRect();
        select([id]);
        ui.openMenu({ at: { x: left, y: bottom + 4 }, target: { kind: "selection" } });
      }}
    >
      <Dots />
    </button>
  );
}

function TitleTip({
  title,
  type,
  about,
}: {
  readonly title: string;
  readonly type: string;
  readonly about: string | undefined;
}) {
  return (
    <>
      <p>
        <b>{title}</b> <small>{type}</small>
      </p>
      {about && <p>{about}</p>}
    </>
  );
}

function TitleField({ id, title, usual }: { readonly id: string; readonly title: string; readonly usual: string }) {
  const apply = useEditor((state) => state.apply);
  const at = useEditor((state) => openGraphName(state.path));
  const field = useRef<HTMLInputElement>(null);
  const left = useRef(false);
  useEffect(() => {
    field.current?.focus();
    field.current?.select();
  }, []);
  const close = (text: string | null) => {
    if (left.current) return;
    left.current = true;
    if (text !== null) apply((doc) => setLabel(doc, at, id, text), { label: "Rename" });
    ui.rename(null);
  };
  const keys = (event: KeyboardEvent<HTMLInputElement>) => {
    event.stopPropagation();
    if (event.key === "Enter") close(event.currentTarget.value);
    if (event.key === "Escape") close(null);
  };
  return (
    <input
      ref={field}
      className={`nodrag ${styles.rename}`}
      defaultValue={title}
      placeholder={usual}
      aria-label="Name of the node"
      onKeyDown={keys}
      onBlur={(event) => close(event.target.value)}
    />
  );
}
