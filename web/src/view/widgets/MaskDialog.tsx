/**
 * Paints a mask over a picture: brush, eraser, soft edges, invert, undo. It is kept as a picture of its own, white where
 * painted: an `image.load` with a transparent part would show white there, and the picture below would be lost.
 */

import { type CSSProperties, type PointerEvent, useEffect, useRef, useState } from "react";
import controls from "./controls.module.css";
import { Brush, Eraser, Invert, Redo, Undo } from "./icons";
import styles from "./MaskDialog.module.css";
import { fill, maskPicture, paintedIn } from "./maskFile";
import numbers from "./NumberWidget.module.css";
import { add, EMPTY, extend, type MaskDrawing, paint, redo, type Stroke, undo } from "./strokes";

interface MaskDialogProps {
  /** Address of the picture. */
  readonly picture: string;
  /** The picture is a mask itself: what is white in it is painted already. */
  readonly repaint?: boolean;
  readonly problem?: string | null;
  readonly onClose: () => void;
  /** Gets the mask as a PNG as large as the picture: white where it is to be drawn anew, black elsewhere. */
  readonly onDone: (mask: Blob) => void;
}

type Tool = Stroke["mode"];

/** Stands out from most pictures; what is kept is white. */
const TINT = "#e5175c";

export function MaskDialog({ picture, repaint = false, problem, onClose, onDone }: MaskDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const base = useRef<HTMLCanvasElement | null>(null);
  const [drawing, setDrawing] = useState<MaskDrawing>(EMPTY);
  const [tool, setTool] = useState<Tool>("paint");
  const [share, setShare] = useState(0.12);
  const [softness, setSoftness] = useState(0.25);
  const [extent, setExtent] = useState<readonly [number, number] | null>(null);

  useEffect(() => dialog.current?.showModal(), []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a canvas of another size is empty and has to be painted
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    paint(context, drawing, base.current);
    fill(context, "source-in", TINT);
  }, [drawing, extent]);

  const width_px = share * Math.max(...(extent ?? [1]));
  const at = (event: PointerEvent): readonly [number, number] => {
    const box = event.currentTarget.getBoundingClientRect();
    const [width, height] = extent ?? [1, 1];
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  };
  const begin = (event: PointerEvent) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    const mode: Tool = event.button === 2 || event.shiftKey ? "erase" : tool;
    setDrawing(add(drawing, { mode, width_px, softness, points: [at(event)] }));
  };
  const drag = (event: PointerEvent) => event.buttons > 0 && setDrawing(extend(drawing, at(event)));
  const keep = async () => {
    if (canvas.current) onDone(await maskPicture(canvas.current));
  };
  return (
    <dialog
      ref={dialog}
      className={styles.dialog}
      aria-label="Paint a mask"
      onClose={onClose}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "[") setShare(Math.max(0.01, share / 1.25));
        else if (event.key === "]") setShare(Math.min(0.6, share * 1.25));
        else if (event.key === "b") setTool("paint");
        else if (event.key === "e") setTool("erase");
        else if (event.key === "i") setDrawing(add(drawing, { mode: "invert" }));
        else if (event.key === "z" && (event.ctrlKey || event.metaKey))
          setDrawing(event.shiftKey ? redo(drawing) : undo(drawing));
        else return;
        event.preventDefault();
      }}
    >
      <header className={styles.bar}>
        <button
          type="button"
          className={controls.button}
          aria-pressed={tool === "paint"}
          onClick={() => setTool("paint")}
        >
          <Brush /> Brush <kbd>B</kbd>
        </button>
        <button
          type="button"
          className={controls.button}
          aria-pressed={tool === "erase"}
          onClick={() => setTool("erase")}
        >
          <Eraser /> Eraser <kbd>E</kbd>
        </button>
        <Range label="Width" value={share} low={0.01} high={0.6} onChange={setShare} />
        <Range label="Softness" value={softness} low={0} high={1} onChange={setSoftness} />
        <button type="button" className={controls.button} onClick={() => setDrawing(add(drawing, { mode: "invert" }))}>
          <Invert /> Invert <kbd>I</kbd>
        </button>
        <button type="button" className={controls.button} onClick={() => setDrawing(add(drawing, { mode: "clear" }))}>
          Clear
        </button>
        <button
          type="button"
          className={controls.button}
          disabled={drawing.edits.length === 0}
          onClick={() => setDrawing(undo(drawing))}
          aria-label="Undo"
        >
          <Undo />
        </button>
        <button
          type="button"
          className={controls.button}
          disabled={drawing.undone.length === 0}
          onClick={() => setDrawing(redo(drawing))}
          aria-label="Redo"
        >
          <Redo />
        </button>
      </header>
      <div className={styles.stage}>
        <div className={styles.layers}>
          <img
            src={picture}
            alt="What the mask is painted over"
            draggable={false}
            onLoad={(event) => {
              const shown = event.currentTarget;
              if (repaint) base.current = paintedIn(shown);
              setExtent([shown.naturalWidth, shown.naturalHeight]);
            }}
          />
          <canvas
            ref={canvas}
            width={extent?.[0] ?? 1}
            height={extent?.[1] ?? 1}
            aria-label="Mask; painted parts are changed"
            onPointerDown={begin}
            onPointerMove={drag}
            onContextMenu={(event) => event.preventDefault()}
          />
        </div>
      </div>
      <footer className={styles.bar}>
        <span className={styles.hint} role="status">
          {problem ?? "Painted parts are drawn anew. Shift erases, [ and ] change the width."}
        </span>
        <button type="button" className={controls.button} onClick={() => dialog.current?.close()}>
          Cancel
        </button>
        <button
          type="button"
          className={`${controls.button} ${controls.primary}`}
          disabled={drawing.edits.length === 0}
          onClick={keep}
        >
          Use mask
        </button>
      </footer>
    </dialog>
  );
}

interface RangeProps {
  readonly label: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly onChange: (value: number) => void;
}

function Range({ label, value, low, high, onChange }: RangeProps) {
  return (
    <label className={styles.range}>
      {label}
      <input
        type="range"
        className={numbers.slider}
        style={{ "--filled": `${(100 * (value - low)) / (high - low)}%` } as CSSProperties}
        min={low}
        max={high}
        step={0.01}
        value={value}
        onChange={(event) => onChange(Number(event.target.value))}
      />
    </label>
  );
}
