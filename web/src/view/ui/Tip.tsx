/** Tooltips: one for the whole window, shown after a moment beside what is pointed at or focused. */

import { type FocusEvent, type ReactNode, type RefObject, useEffect, useLayoutEffect, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { create } from "zustand";
import styles from "./Tip.module.css";

interface Shown {
  readonly content: ReactNode;
  readonly beside: DOMRect;
  readonly side: "below" | "right";
}

const useTip = create<{ readonly shown: Shown | null }>(() => ({ shown: null }));
const DELAY_MS = 350;
let timer: ReturnType<typeof setTimeout> | undefined;

function show(content: ReactNode, element: Element, side: Shown["side"]): void {
  clearTimeout(timer);
  timer = setTimeout(() => {
    // What was pressed may be gone: a button that became another one.
    if (element.isConnected) useTip.setState({ shown: { content, beside: element.getBoundingClientRect(), side } });
  }, DELAY_MS);
}

/** Take the tooltip away, for example because a press has an effect of its own. */
export function hideTip(): void {
  clearTimeout(timer);
  if (useTip.getState().shown !== null) useTip.setState({ shown: null });
}

/** Handlers for an element that has a tooltip. `content` is asked when it is needed. */
export function tip(content: () => ReactNode, side: Shown["side"] = "below") {
  const open = (event: { currentTarget: Element }) => {
    const found = content();
    if (found) show(found, event.currentTarget, side);
  };
  // A press gives the focus too, but whoever presses does not ask what would happen.
  const byKeyboard = (event: FocusEvent) => event.currentTarget.matches(":focus-visible") && open(event);
  return {
    onPointerEnter: open,
    onFocus: byKeyboard,
    onPointerLeave: hideTip,
    onBlur: hideTip,
    onPointerDown: hideTip,
  };
}

/** Renders the tooltip. Once in the window. */
export function TipHost() {
  const shown = useTip((state) => state.shown);
  const box = useRef<HTMLDivElement>(null);
  const place = usePlace(box, shown);
  useEffect(() => {
    window.addEventListener("wheel", hideTip, { passive: true });
    window.addEventListener("keydown", hideTip);
    return () => {
      window.removeEventListener("wheel", hideTip);
      window.removeEventListener("keydown", hideTip);
    };
  }, []);
  if (shown === null) return null;
  return createPortal(
    <div ref={box} className={styles.tip} role="tooltip" style={place}>
      {shown.content}
    </div>,
    document.body,
  );
}

function usePlace(box: RefObject<HTMLDivElement | null>, shown: Shown | null) {
  const [place, setPlace] = useState({ left: -9999, top: 0 });
  useLayoutEffect(() => {
    if (shown === null || box.current === null) return;
    const { width, height } = box.current.getBoundingClientRect();
    const { beside, side } = shown;
    const left = side === "right" ? beside.right + 8 : beside.left;
    const below = side === "right" ? beside.top : beside.bottom + 6;
    const top = below + height > innerHeight - 8 ? beside.top - height - 6 : below;
    setPlace({ left: Math.max(8, Math.min(left, innerWidth - width - 8)), top: Math.max(8, top) });
  }, [shown, box]);
  return place;
}
