/** Ranges, steps and texts of number widgets. */

import type { Schema } from "./schema";

export interface NumberRange {
  readonly low: number | null;
  readonly high: number | null;
  /** Whether the bounds themselves are allowed. */
  readonly openLow: boolean;
  readonly openHigh: boolean;
  readonly step: number;
  readonly whole: boolean;
}

/** A slider over more values than this can't be aimed with. */
const AIMABLE = 2000;
/** `low + step` must not become 0.30000000000000004. */
const DIGITS = 10;

export function rangeOf(schema: Schema): NumberRange {
  const whole = schema.type === "integer";
  const low = schema.minimum ?? schema.exclusiveMinimum ?? null;
  const high = schema.maximum ?? schema.exclusiveMaximum ?? null;
  return {
    low,
    high,
    openLow: schema.minimum === undefined && schema.exclusiveMinimum !== undefined,
    openHigh: schema.maximum === undefined && schema.exclusiveMaximum !== undefined,
    step: schema.multipleOf ?? (whole ? 1 : fineness(low, high)),
    whole,
  };
}

/** Whether a slider is of use: both ends known, and few enough places between them. */
export function slides(range: NumberRange): range is NumberRange & { low: number; high: number } {
  return range.low !== null && range.high !== null && (range.high - range.low) / range.step <= AIMABLE;
}

/** What is wrong with a number, in words; null when nothing is. */
export function numberProblem(value: number, range: NumberRange, unit = ""): string | null {
  if (!Number.isFinite(value)) return "Enter a number.";
  if (range.whole && !Number.isInteger(value)) return "Enter a whole number.";
  const { low, high } = range;
  if (low !== null && (range.openLow ? value <= low : value < low)) {
    return `Must be ${range.openLow ? "more than" : "at least"} ${shown(low)}${unit && ` ${unit}`}.`;
  }
  if (high !== null && (range.openHigh ? value >= high : value > high)) {
    return `Must be ${range.openHigh ? "less than" : "at most"} ${shown(high)}${unit && ` ${unit}`}.`;
  }
  if (range.whole && range.step > 1 && value % range.step !== 0) return `Must be a multiple of ${range.step}.`;
  return null;
}

/** The nearest value that the range allows; between steps only where the step is a rule, not a convenience. */
export function fitted(value: number, range: NumberRange): number {
  const stepped = range.whole ? Math.round(value / range.step) * range.step : value;
  const low = range.low === null ? -Infinity : range.low + (range.openLow ? range.step : 0);
  const high = range.high === null ? Infinity : range.high - (range.openHigh ? range.step : 0);
  return rounded(Math.min(high, Math.max(low, stepped)));
}

/** One step up or down; `factor` 10 with Shift, 0.1 with Alt. */
export function nudge(value: number, steps: number, range: NumberRange, factor = 1): number {
  const size = range.whole ? Math.max(range.step, range.step * factor) : range.step * factor;
  return fitted(value + steps * size, range);
}

/** The number in a text: `7,5` and `7.5` are the same; sums such as `512+64` and `1024/2` are worked out. */
export function parseNumber(text: string): number {
  const plain = text.trim().replace(",", ".");
  const sum = /^(-?[\d.]+)\s*([-+*/x])\s*([\d.]+)$/.exec(plain);
  if (!sum) return plain === "" ? Number.NaN : Number(plain);
  const [left, right] = [Number(sum[1]), Number(sum[3])];
  switch (sum[2]) {
    case "+":
      return rounded(left + right);
    case "-":
      return rounded(left - right);
    case "/":
      return rounded(left / right);
    default:
      return rounded(left * right);
  }
}

/** A number without the noise of binary fractions. */
export function shown(value: number): string {
  return String(rounded(value));
}

function rounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toFixed(DIGITS));
}

/** A hundredth of small ranges; of large and open ones a tenth of a unit. */
function fineness(low: number | null, high: number | null): number {
  if (low === null || high === null) return 0.1;
  const span = high - low;
  if (span <= 2) return 0.01;
  return span <= 20 ? 0.05 : 0.1;
}
