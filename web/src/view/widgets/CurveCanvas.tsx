/** A course of guidance as a curve over progress, with points to drag. */

import { type KeyboardEvent, type PointerEvent, useRef, useState } from "react";
import styles from "./CurveWidget.module.css";
import {
  addBeside,
  addPoint,
  dragHandle,
  type Guidance,
  handlesOf,
  type Point,
  removePoint,
  scaleAt,
} from "./guidance";

const WIDTH = 260;
const HEIGHT = 96;
const PAD = 10;
const SAMPLES = 96;

interface CurveCanvasProps {
  readonly label: string;
  readonly guidance: Guidance;
  readonly onChange: (guidance: Guidance) => void;
}

export function CurveCanvas({ label, guidance, onChange }: CurveCanvasProps) {
  const svg = useRef<SVGSVGElement>(null);
  const [held, setHeld] = useState<number | null>(null);
  const [ceiling, setCeiling] = useState<number | null>(null);
  const top = ceiling ?? topOf(guidance);
  const place = (event: { readonly clientX: number; readonly clientY: number }): Point => {
    const box = svg.current?.getBoundingClientRect();
    if (!box) return [0, 0];
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    const y = ((event.clientY - box.top) / box.height) * HEIGHT;
    return [(x - PAD) / (WIDTH - 2 * PAD), Math.min(100, Math.max(0, ((HEIGHT - PAD - y) / (HEIGHT - 2 * PAD)) * top))];
  };
  const grab = (event: PointerEvent, index: number) => {
    event.stopPropagation();
    (event.target as Element).setPointerCapture(event.pointerId);
    setCeiling(top); // The scale stands still while a point is dragged.
    setHeld(index);
  };
  const drop = () => {
    setHeld(null);
    setCeiling(null);
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset can't be drawn in
    <svg
      ref={svg}
      className={`nodrag ${styles.curve}`}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="group"
      aria-label={`Curve of ${label.toLowerCase()}, 0 to ${top} over the stage`}
      onDoubleClick={(event) => onChange(addPoint(guidance, place(event)))}
      onPointerMove={(event) => held !== null && onChange(dragHandle(guidance, held, place(event)))}
      onPointerUp={drop}
      onPointerCancel={drop}
    >
      <Grid top={top} />
      <path className={styles.fill} d={`${pathOf(guidance, top)}V${HEIGHT - PAD}H${PAD}Z`} />
      <path className={styles.line} d={pathOf(guidance, top)} />
      {handlesOf(guidance).map((point, index) => (
        <Handle
          // biome-ignore lint/suspicious/noArrayIndexKey: a point is its place in the list
          key={index}
          point={point}
          top={top}
          onGrab={(event) => grab(event, index)}
          onMove={(to) => onChange(dragHandle(guidance, index, to))}
          onAdd={() => onChange(addBeside(guidance, index))}
          onRemove={() => onChange(removePoint(guidance, index))}
        />
      ))}
    </svg>
  );
}

function Grid({ top }: { readonly top: number }) {
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: lines take no focus
    <g aria-hidden="true">
      {[0, 0.25, 0.5, 0.75, 1].map((share) => (
        <path key={share} className={styles.grid} d={`M${across(share)} ${PAD}V${HEIGHT - PAD}`} />
      ))}
      <path className={styles.unguided} d={`M${PAD} ${height(1, top)}H${WIDTH - PAD}`} />
      <text className={styles.tick} x={PAD + 3} y={PAD + 8}>
        {top}
      </text>
    </g>
  );
}

interface HandleProps {
  readonly point: Point;
  readonly top: number;
  readonly onGrab: (event: PointerEvent) => void;
  readonly onMove: (to: Point) => void;
  readonly onAdd: () => void;
  readonly onRemove: () => void;
}

const KEYS: Readonly<Record<string, Point>> = {
  ArrowUp: [0, 0.1],
  ArrowDown: [0, -0.1],
  ArrowRight: [0.01, 0],
  ArrowLeft: [-0.01, 0],
};

function Handle({ point, top, onGrab, onMove, onAdd, onRemove }: HandleProps) {
  const [progress, scale] = point;
  const onKeyDown = (event: KeyboardEvent) => {
    const step = KEYS[event.key];
    if (step)
      onMove([
        progress + step[0] * (event.shiftKey ? 10 : 1),
        Math.max(0, scale + step[1] * (event.shiftKey ? 10 : 1)),
      ]);
    else if (event.key === "+" || event.key === "Insert") onAdd();
    else if (event.key === "Delete" || event.key === "Backspace") onRemove();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <circle
      className={styles.handle}
      cx={across(progress)}
      cy={height(scale, top)}
      r={5}
      tabIndex={0}
      role="slider"
      aria-label={`Scale at ${Math.round(progress * 100)} %`}
      aria-keyshortcuts="+ Delete"
      aria-valuenow={scale}
      aria-valuemin={0}
      aria-valuemax={100}
      onPointerDown={onGrab}
      onKeyDown={onKeyDown}
    />
  );
}

/** A round number above the course. */
export function topOf(guidance: Guidance): number {
  const most = Math.max(...samples().map((progress) => scaleAt(guidance, progress)), 1);
  return [2, 5, 10, 15, 20, 30, 50, 100].find((round) => round >= most * 1.1) ?? Math.ceil(most * 1.1);
}

/** The course as an SVG path. */
export function pathOf(guidance: Guidance, top: number): string {
  const points = samples().map(
    (progress) => `${across(progress).toFixed(1)} ${height(scaleAt(guidance, progress), top).toFixed(1)}`,
  );
  return `M${points.join("L")}`;
}

function samples(): readonly number[] {
  return Array.from({ length: SAMPLES + 1 }, (_, at) => at / SAMPLES);
}

const across = (progress: number) => PAD + progress * (WIDTH - 2 * PAD);
const height = (scale: number, top: number) => HEIGHT - PAD - (scale / top) * (HEIGHT - 2 * PAD);
