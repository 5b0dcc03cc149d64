/** A painted mask as data: strokes over a picture. Undo drops strokes; painting is replaying them. */

export interface Stroke {
  readonly mode: "paint" | "erase";
  /** Diameter in pixels of the picture. */
  readonly width_px: number;
  /** Share of the radius over which the edge fades: 0 is hard. */
  readonly softness: number;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export type MaskEdit = Stroke | { readonly mode: "invert" } | { readonly mode: "clear" } | { readonly mode: "fill" };

export interface MaskDrawing {
  readonly edits: readonly MaskEdit[];
  readonly undone: readonly MaskEdit[];
}

export const EMPTY: MaskDrawing = { edits: [], undone: [] };

export function add(drawing: MaskDrawing, edit: MaskEdit): MaskDrawing {
  return { edits: [...drawing.edits, edit], undone: [] };
}

/** The last stroke with one point more. */
export function extend(drawing: MaskDrawing, point: readonly [number, number]): MaskDrawing {
  const last = drawing.edits.at(-1);
  if (!last || !("points" in last)) return drawing;
  return { edits: [...drawing.edits.slice(0, -1), { ...last, points: [...last.points, point] }], undone: [] };
}

export function undo(drawing: MaskDrawing): MaskDrawing {
  const last = drawing.edits.at(-1);
  return last ? { edits: drawing.edits.slice(0, -1), undone: [...drawing.undone, last] } : drawing;
}

export function redo(drawing: MaskDrawing): MaskDrawing {
  const next = drawing.undone.at(-1);
  return next ? { edits: [...drawing.edits, next], undone: drawing.undone.slice(0, -1) } : drawing;
}

/**
 * Paint the mask into a canvas of the picture's size: white where the picture is to change, transparent elsewhere.
 * `base` is what was painted before.
 */
export function paint(
  context: CanvasRenderingContext2D,
  drawing: MaskDrawing,
  base: HTMLCanvasElement | null = null,
): void {
  const { width, height } = context.canvas;
  context.clearRect(0, 0, width, height);
  if (base) context.drawImage(base, 0, 0);
  for (const edit of drawing.edits) paintOne(context, edit, width, height);
}

/** Paint one edit over what is there. */
export function paintOne(context: CanvasRenderingContext2D, edit: MaskEdit, width: number, height: number): void {
  context.save();
  context.fillStyle = "#fff";
  if (edit.mode === "clear") context.clearRect(0, 0, width, height);
  else if (edit.mode === "fill") context.fillRect(0, 0, width, height);
  else if (edit.mode === "invert") {
    // What is there is cut out of a full mask.
    context.globalCompositeOperation = "source-out";
    context.fillRect(0, 0, width, height);
  } else stroke(context, edit);
  context.restore();
}

function stroke(context: CanvasRenderingContext2D, edit: Stroke): void {
  const [first, ...rest] = edit.points;
  if (!first) return;
  context.globalCompositeOperation = edit.mode === "erase" ? "destination-out" : "source-over";
  context.lineCap = "round";
  context.lineJoin = "round";
  context.strokeStyle = "#fff";
  const fade = (edit.width_px / 2) * edit.softness;
  if (fade > 0) context.filter = `blur(${fade / 2}px)`;
  context.lineWidth = Math.max(1, edit.width_px - fade);
  context.beginPath();
  context.moveTo(first[0], first[1]);
  // A click without a drag is a dot.
  if (rest.length === 0) context.lineTo(first[0] + 0.01, first[1]);
  for (const [x, y] of rest) context.lineTo(x, y);
  context.stroke();
}
