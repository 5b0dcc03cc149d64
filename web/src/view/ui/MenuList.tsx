/** A menu at a place of the window: arrows, Enter, Escape and first letters work; a press elsewhere closes it. */

import { type KeyboardEvent, useEffect, useLayoutEffect, useRef, useState } from "react";
import { createPortal } from "react-dom";
import type { Point } from "../../model/view";
import { Keys } from "../canvas/KeyCaps";
import styles from "./MenuList.module.css";

export type MenuEntry =
  | { readonly kind: "line" }
  | {
      readonly kind: "item";
      readonly title: string;
      readonly keys?: string;
      readonly disabled?: boolean;
      readonly run: () => void;
    }
  | {
      readonly kind: "colors";
      readonly title: string;
      readonly colors: readonly string[];
      readonly run: (color: string | null) => void;
    };

export interface MenuListProps {
  readonly at: Point;
  readonly label: string;
  readonly entries: readonly MenuEntry[];
  readonly onClose: () => void;
}

export function MenuList({ at, label, entries, onClose }: MenuListProps) {
  const box = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState({ left: at.x, top: at.y });
  useLayoutEffect(() => {
    const { width = 0, height = 0 } = box.current?.getBoundingClientRect() ?? {};
    setPlace({
      left: Math.max(8, Math.min(at.x, innerWidth - width - 8)),
      top: Math.max(8, Math.min(at.y, innerHeight - height - 8)),
    });
  }, [at]);
  useEffect(() => {
    const before = document.activeElement;
    box.current?.querySelector<HTMLElement>("[role^=menuitem]:not(:disabled)")?.focus();
    const outside = (event: PointerEvent) => !box.current?.contains(event.target as Node) && onClose();
    window.addEventListener("pointerdown", outside, true);
    return () => {
      window.removeEventListener("pointerdown", outside, true);
      if (before instanceof HTMLElement && document.activeElement === document.body)
        before.focus({ preventScroll: true });
    };
  }, [onClose]);
  const choose = (run: () => void) => () => {
    onClose();
    run();
  };
  const keys = (event: KeyboardEvent) => {
    event.stopPropagation();
    if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      onClose();
    } else move(event, box.current);
  };
  return createPortal(
    <div
      ref={box}
      className={styles.menu}
      style={place}
      role="menu"
      aria-label={label}
      tabIndex={-1}
      onKeyDown={keys}
      onContextMenu={(event) => event.preventDefault()}
    >
      {entries.map((entry, index) => {
        const key = entry.kind === "line" ? `line ${index}` : entry.title;
        if (entry.kind === "line") return <hr key={key} />;
        if (entry.kind === "colors")
          return (
            // biome-ignore lint/a11y/useSemanticElements: a group of menu items is no fieldset
            <div key={key} role="group" aria-label={entry.title} className={styles.colors}>
              <button
                type="button"
                role="menuitem"
                className={styles.plain}
                aria-label="No colour"
                onClick={choose(() => entry.run(null))}
              />
              {entry.colors.map((color) => (
                <button
                  key={color}
                  type="button"
                  role="menuitem"
                  aria-label={`Colour ${color}`}
                  style={{ background: color }}
                  onClick={choose(() => entry.run(color))}
                />
              ))}
            </div>
          );
        return (
          <button
            key={key}
            type="button"
            role="menuitem"
            className={styles.item}
            disabled={entry.disabled}
            onClick={choose(entry.run)}
          >
            <span>{entry.title}</span>
            {entry.keys && (
              <span className={styles.keys}>
                <Keys keys={entry.keys} />
              </span>
            )}
          </button>
        );
      })}
    </div>,
    document.body,
  );
}

function move(event: KeyboardEvent, box: HTMLElement | null): void {
  const items = [...(box?.querySelectorAll<HTMLElement>("[role^=menuitem]:not(:disabled)") ?? [])];
  const here = items.indexOf(document.activeElement as HTMLElement);
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  let next: HTMLElement | undefined;
  if (step !== undefined) next = items[(here + step + items.length) % items.length];
  else if (event.key === "Home") next = items[0];
  else if (event.key === "End") next = items.at(-1);
  else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey) {
    const after = [...items.slice(here + 1), ...items.slice(0, here + 1)];
    next = after.find((item) => item.textContent?.toLowerCase().startsWith(event.key.toLowerCase()));
  }
  if (next === undefined) return;
  event.preventDefault();
  next.focus();
}
