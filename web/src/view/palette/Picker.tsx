/** A list to search and choose from, at a place of the window: arrows, Enter and Escape work while one types. */

import {
  type KeyboardEvent,
  type ReactNode,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import type { Point } from "../../model/view";
import { Search } from "../ui/icons";
import styles from "./Palette.module.css";

export interface PickerProps<T> {
  readonly at: Point;
  readonly label: string;
  readonly placeholder: string;
  readonly query: string;
  readonly onQuery: (query: string) => void;
  readonly groups: readonly (readonly [string, readonly T[]])[];
  readonly keyOf: (item: T) => string;
  readonly onChoose: (item: T) => void;
  readonly onClose: () => void;
  readonly empty: string;
  readonly about?: (item: T) => ReactNode;
  readonly children: (item: T) => ReactNode;
}

export function Picker<T>(props: PickerProps<T>) {
  const { groups, keyOf, onChoose, onClose, query } = props;
  const id = useId();
  const all = useMemo(() => groups.flatMap(([group, items]) => items.map((item) => ({ group, item }))), [groups]);
  const [chosen, setChosen] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const place = usePlace(box, props.at);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another query begins at its first item
  useEffect(() => setChosen(0), [query]);
  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  });
  useEffect(() => {
    const outside = (event: PointerEvent) => !box.current?.contains(event.target as Node) && onClose();
    window.addEventListener("pointerdown", outside, true);
    return () => window.removeEventListener("pointerdown", outside, true);
  }, [onClose]);
  const keys = (event: KeyboardEvent) => {
    event.stopPropagation();
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setChosen((last) => Math.max(0, Math.min(all.length - 1, last + step)));
    } else if (event.key === "Enter") {
      event.preventDefault();
      const item = all[chosen];
      if (item !== undefined) onChoose(item.item);
    } else if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      onClose();
    }
  };
  const item = all[chosen]?.item;
  let index = -1;
  return (
    <div ref={box} className={styles.picker} style={place} role="dialog" aria-label={props.label} onKeyDown={keys}>
      <div className={styles.search}>
        <Search />
        <input
          // biome-ignore lint/a11y/noAutofocus: it was opened to type in
          autoFocus
          role="combobox"
          aria-expanded="true"
          aria-controls={`${id}-list`}
          aria-activedescendant={item === undefined ? undefined : `${id}-${chosen}`}
          aria-label={props.label}
          placeholder={props.placeholder}
          value={query}
          spellCheck={false}
          onChange={(event) => props.onQuery(event.target.value)}
        />
      </div>
      <div ref={list} id={`${id}-list`} className={styles.list} role="listbox" aria-label={props.label}>
        {all.length === 0 && <p className={styles.empty}>{props.empty}</p>}
        {groups.map(([group, items]) => (
          // biome-ignore lint/a11y/useSemanticElements: a group of options is no fieldset
          <div key={group} role="group" aria-label={group || props.label}>
            {group !== "" && <p className={styles.group}>{group}</p>}
            {items.map((one) => {
              index += 1;
              const here = index;
              return (
                // biome-ignore lint/a11y/useKeyWithClickEvents: keys are taken by the field, which has the focus
                // biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus (aria-activedescendant)
                <div
                  key={keyOf(one)}
                  id={`${id}-${here}`}
                  className={styles.item}
                  role="option"
                  aria-selected={here === chosen}
                  onPointerMove={() => setChosen(here)}
                  onClick={() => onChoose(one)}
                >
                  {props.children(one)}
                </div>
              );
            })}
          </div>
        ))}
      </div>
      {item !== undefined && props.about !== undefined && <footer className={styles.about}>{props.about(item)}</footer>}
    </div>
  );
}

function usePlace(box: React.RefObject<HTMLDivElement | null>, at: Point) {
  const [place, setPlace] = useState({ left: at.x, top: at.y });
  useLayoutEffect(() => {
    const { width = 0 } = box.current?.getBoundingClientRect() ?? {};
    const height = 420; // its most, so that it does not jump while the list gets shorter
    const left = Math.max(8, Math.min(at.x, innerWidth - width - 8));
    const top = Math.max(8, Math.min(at.y, innerHeight - height - 8));
    setPlace({ left, top });
  }, [at, box]);
  return place;
}
