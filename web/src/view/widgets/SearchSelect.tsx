/** A dropdown with a search field: the combobox of the ARIA authoring practices, with a list that it controls. */

import { type KeyboardEvent, useMemo, useRef, useState } from "react";
import { match } from "../../model/fuzzy";
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
  /** A few words about an option, below it. */
  readonly about?: (option: string) => string;
  readonly onOpen?: () => void;
}

export function SearchSelect(props: SearchSelectProps) {
  const { ids, options, value, onChange, free = false, placeholder, about, onOpen } = props;
  const [query, setQuery] = useState<string | null>(null);
  const [active, setActive] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const found = useMemo(() => matching(options, query ?? ""), [options, query]);
  const isOpen = query !== null && found.length > 0;
  const open = () => {
    onOpen?.();
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
    const chosen = found[active];
    if (free && query && (chosen === undefined || isOwn(query, chosen))) take(query);
    else if (chosen !== undefined) take(chosen);
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
              {about?.(option) && <small>{about(option)}</small>}
            </div>
          ))}
        </div>
      )}
    </div>
  );
}

/** Whether a text is meant as it is, and not as a search: a path or an address that no option begins with. */
function isOwn(text: string, option: string): boolean {
  return /[:/.\\]/.test(text) && !option.startsWith(text);
}

/** Options that have the letters of the query in this order, those that fit best first. */
export function matching(options: readonly string[], query: string): readonly string[] {
  if (query.trim() === "") return options;
  const found = options.flatMap((option) => {
    const score = match(query, option)?.score;
    return score === undefined ? [] : [{ option, score }];
  });
  return found.sort((left, right) => right.score - left.score).map(({ option }) => option);
}
