/** A question with one line of text as its answer. */

import { type FormEvent, useState } from "react";
import { create } from "zustand";
import { Dialog } from "../panels/Dialog";
import controls from "../widgets/controls.module.css";
import styles from "./ask.module.css";

export interface Question {
  readonly title: string;
  readonly label: string;
  readonly value: string;
  readonly confirm: string;
}

interface Asked extends Question {
  readonly answer: (text: string | null) => void;
}

const useAsked = create<{ readonly asked: Asked | null }>(() => ({ asked: null }));

/** Ask; null when the person closes the question. */
export function ask(question: Question): Promise<string | null> {
  useAsked.getState().asked?.answer(null);
  return new Promise((resolve) => {
    const answer = (text: string | null) => {
      useAsked.setState({ asked: null });
      resolve(text);
    };
    useAsked.setState({ asked: { ...question, answer } });
  });
}

/** Renders the question. Once in the window. */
export function AskHost() {
  const asked = useAsked((state) => state.asked);
  return asked === null ? null : <Ask {...asked} />;
}

function Ask({ title, label, value, confirm, answer }: Asked) {
  const [text, setText] = useState(value);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    answer(text.trim());
  };
  return (
    <Dialog title={title} onClose={() => answer(null)}>
      <form className={styles.form} onSubmit={submit}>
        <label className={styles.label}>
          {label}
          <span className={controls.box}>
            <input
              className={controls.text}
              autoFocus
              value={text}
              onFocus={(event) => event.target.select()}
              onChange={(event) => setText(event.target.value)}
            />
          </span>
        </label>
        <div className={styles.buttons}>
          <button type="button" className={controls.button} onClick={() => answer(null)}>
            Cancel
          </button>
          <button type="submit" className={`${controls.button} ${controls.primary}`} disabled={text.trim() === ""}>
            {confirm}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
