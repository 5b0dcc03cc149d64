/** What panels have in common: an optional bar above, a body that scrolls, and a word for when there is nothing. */

import type { ReactNode } from "react";
import styles from "./Panel.module.css";

export function Panel({ bar, children }: { readonly bar?: ReactNode; readonly children: ReactNode }) {
  return (
    <div className={styles.panel}>
      {bar && <div className={styles.bar}>{bar}</div>}
      <div className={styles.body}>{children}</div>
    </div>
  );
}

export interface NothingProps {
  readonly title: string;
  readonly children?: ReactNode;
}

/** Says that there is nothing, and what to do so that there is. */
export function Nothing({ title, children }: NothingProps) {
  return (
    <div className={styles.nothing}>
      <p className={styles.nothingTitle}>{title}</p>
      {children && <div>{children}</div>}
    </div>
  );
}
