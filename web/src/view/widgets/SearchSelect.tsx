/** A dropdown with a search field: the combobox of the ARIA authoring practices, with a list that it controls. */

import { type KeyboardEvent, useMemo, useRef, useState } from "react";
import controls from "./controls.module.css";
import type { FieldIds } from "./Field";
import styles from "./SearchSelect.module.css";

export interface SearchSelectProps {
  readonly ids: FieldIds;
  readonly options: readonly string[];
  readonly value: string;
  readonly onChange: (value: string) => void;
  /** Any text is taken, not only one of the list. */
  readonly free?: boolean;
  readonly placeholder?: string;
}

export function SearchSelect({ ids, options, value, onChange, free = false, placeholder }: SearchSelectProps) {
  const [query, setQuery] = useState<string | null>(null);
  const [active, setActive] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const found = useMemo(() => matching(options, query ?? ""), [options, query]);
  const isOpen = query !== null && found.length > 0;
  const open = () => {
    setQuery("");
    setActive(Math.max(0, options.indexOf(value)));
  };
  const take = (option: string) => {
    onChange(option);
    setQuery(null);
  };
  const leave = () => {
    if (free && query) onChange(query);
    setQuery(null);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (query === null) {
      if (["ArrowDown", "ArrowUp", "Enter"].includes(event.key)) {
        open();
        event.preventDefault();
      }
      return;
    }
    event.stopPropagation();
    if (event.key === "Escape") setQuery(null);
    else if (event.key === "ArrowDown") setActive((at) => Math.min(found.length - 1, at + 1));
    else if (event.key === "ArrowUp") setActive((at) => Math.max(0, at - 1));
    else if (event.key === "Enter") chooseActive();
    else return;
    event.preventDefault();
  };
  const chooseActive = () => {
    const chosen = free && query && !found[active]?.startsWith(query) ? query : found[active];
    if (chosen !== undefined) take(chosen);
    else if (free && query) take(query);
  };
  return (
    <div className={styles.combo}>
      <div className={controls.box} data-bad={ids.invalid}>
        <input
          ref={input}
          id={ids.id}
          role="combobox"
          className={`nodrag ${controls.text}`}
          autoComplete="off"
          spellCheck={false}
          value={query ?? value}
          placeholder={query === "" ? value || placeholder : placeholder}
          aria-expanded={isOpen}
          aria-controls={`${ids.id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={isOpen ? `${ids.id}-${active}` : undefined}
          aria-describedby={ids.describedBy}
          aria-invalid={ids.invalid}
          onMouseDown={() => query === null && open()}
          onChange={(event) => {
            setQuery(event.target.value);
            setActive(0);
          }}
          onKeyDown={onKeyDown}
          onBlur={leave}
        />
        <span className={styles.arrow} aria-hidden="true" />
      </div>
      {isOpen && (
        <div id={`${ids.id}-list`} role="listbox" className={`nowheel ${styles.list}`}>
          {found.map((option, at) => (
            // biome-ignore lint/a11y/useFocusableInteractive: see the list
            <div
              key={option}
              id={`${ids.id}-${at}`}
              role="option"
              aria-selected={option === value}
              className={styles.option}
              data-active={at === active}
              ref={at === active ? (element) => element?.scrollIntoView({ block: "nearest" }) : null}
              onMouseDown={(event) => {
                event.preventDefault();
                take(option);
              }}
              onMouseMove={() => setActive(at)}
            >
              {option}
            </div>
          ))}
        </div>
      )}
    </div>
  );
}

/** Options with the query in them, those that begin with it first; `_` and space are the same. */
export function matching(options: readonly string[], query: string): readonly string[] {
  const wanted = query.trim().toLowerCase().replaceAll(" ", "_");
  const found = options.filter((option) => option.toLowerCase().includes(wanted));
  const begins = (option: string) => Number(!option.toLowerCase().startsWith(wanted));
  return wanted === "" ? options : [...found].sort((left, right) => begins(left) - begins(right));
}
