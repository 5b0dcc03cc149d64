/** Where on a slider a value is. Long ranges are bent, so that the values people use are not all at one end. */

import { fitted, type NumberRange } from "./numbers";

export const NOTCHES = 1000;
/** A default below this share of the range bends the slider, */
const CROWDED = 0.2;
/** until it stands here. */
const COMFORTABLE = 0.4;

type Bounded = NumberRange & { readonly low: number; readonly high: number };

/** The exponent that takes positions to shares of the range; 1 is an even slider. */
export function bend(range: Bounded, usual: number | null): number {
  const share = usual === null ? 1 : (usual - range.low) / (range.high - range.low);
  return share > 0 && share < CROWDED ? Math.log(share) / Math.log(COMFORTABLE) : 1;
}

/** The notch 0..1000 of a value. */
export function notchOf(value: number, range: Bounded, exponent: number): number {
  const share = (value - range.low) / (range.high - range.low);
  return Math.round(NOTCHES * Math.min(1, Math.max(0, share)) ** (1 / exponent));
}

/** The value at a notch, on the range's step. */
export function valueAt(notch: number, range: Bounded, exponent: number): number {
  const exact = range.low + (range.high - range.low) * (notch / NOTCHES) ** exponent;
  return fitted(Math.round(exact / range.step) * range.step, range);
}
