/** Messages that go away by themselves: beside the pointer when they are about a place, else in the corner. */

import { useEffect } from "react";
import { useEditor, useEditorStore } from "../../store/context";
import type { Notice } from "../../store/state";
import { Check, Close, Warn } from "./icons";
import styles from "./Notices.module.css";

/** Long enough to be read: a second and a half, and more for each letter. */
function durationMs({ text, hint = "" }: Notice): number {
  return 2500 + 55 * (text.length + hint.length);
}

export function Notices() {
  const store = useEditorStore();
  const notices = useEditor((state) => state.notices);
  const placed = notices.filter((notice) => notice.at !== undefined);
  useEffect(() => {
    // What was said about a place is over when the person goes on.
    const goOn = (event: PointerEvent) => {
      const inside = event.target instanceof Element && event.target.closest(`.${styles.placed}`) !== null;
      if (!inside)
        for (const { id, at } of store.getState().notices) if (at !== undefined) store.getState().dismiss(id);
    };
    window.addEventListener("pointerdown", goOn, true);
    return () => window.removeEventListener("pointerdown", goOn, true);
  }, [store]);
  return (
    <>
      <div className={styles.corner} role="status" aria-live="polite">
        {notices
          .filter((notice) => notice.at === undefined)
          .map((notice) => (
            <Message key={notice.id} notice={notice} />
          ))}
      </div>
      <div role="status" aria-live="polite">
        {placed.slice(-1).map((notice) => (
          <div key={notice.id} className={styles.placed} style={besidePointer(notice)}>
            <Message notice={notice} />
          </div>
        ))}
      </div>
    </>
  );
}

const WIDTH_PX = 340;

function besidePointer({ at }: Notice) {
  const { x, y } = at ?? { x: 0, y: 0 };
  return { left: Math.max(8, Math.min(x + 12, innerWidth - WIDTH_PX - 8)), top: Math.min(y + 12, innerHeight - 110) };
}

function Message({ notice }: { readonly notice: Notice }) {
  const dismiss = useEditor((state) => state.dismiss);
  useEffect(() => {
    const timer = setTimeout(() => dismiss(notice.id), durationMs(notice));
    return () => clearTimeout(timer);
  }, [dismiss, notice]);
  return (
    <div className={styles.notice} data-kind={notice.kind}>
      {notice.kind === "bad" ? <Warn /> : <Check />}
      <div>
        <p>
          <Text text={notice.text} />
        </p>
        {notice.hint && (
          <p className={styles.hint}>
            <Text text={notice.hint} />
          </p>
        )}
      </div>
      <button type="button" aria-label="Dismiss" onClick={() => dismiss(notice.id)}>
        <Close />
      </button>
    </div>
  );
}

/** Text in which `this` is code. */
function Text({ text }: { readonly text: string }) {
  return text.split("`").map((part, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a text never move
    <span key={index} className={index % 2 === 1 ? styles.code : undefined}>
      {part}
    </span>
  ));
}
