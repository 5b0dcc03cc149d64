/** A seed: a number with dice, and a lock that says whether each run draws a new one. */

import { useSyncExternalStore } from "react";
import { randomSeed, rolls } from "../../store/seeds";
import controls from "./controls.module.css";
import { Field } from "./Field";
import { Dice, Lock, Unlock } from "./icons";
import { NumberField } from "./NumberWidget";
import { rangeOf } from "./numbers";
import { effective, labelOf } from "./port";
import type { WidgetProps } from "./types";

export interface SeedProps extends WidgetProps {
  /** Which seed it is, "sample.seed": its lock is remembered under this name. Without one there is no lock. */
  readonly at?: string | undefined;
}

export function SeedWidget({ port, value, onChange, problem, at }: SeedProps) {
  const range = rangeOf(port.schema ?? { type: "integer" });
  const rolling = useSyncExternalStore(rolls.subscribe, () => at !== undefined && rolls.has(at));
  const draw = () => onChange(randomSeed(range.high ?? undefined));
  return (
    <Field label={labelOf(port)} help={port.help} problem={problem}>
      {(ids) => (
        <div className={controls.row}>
          <NumberField ids={ids} value={Number(effective(port, value) ?? 0)} range={range} onChange={onChange} />
          <button
            type="button"
            className={`nodrag ${controls.button} ${controls.plain}`}
            onClick={draw}
            aria-label={`Draw a new ${labelOf(port).toLowerCase()}`}
            title="Draw another seed"
          >
            <Dice />
          </button>
          {at !== undefined && (
            <button
              type="button"
              className={`nodrag ${controls.button} ${controls.plain}`}
              aria-pressed={rolling}
              onClick={() => rolls.set(at, !rolling)}
              aria-label={`Draw a new ${labelOf(port).toLowerCase()} before every run`}
              title={
                rolling
                  ? "Drawn anew before every run. Press to keep it."
                  : "Kept. Press to draw anew before every run."
              }
            >
              {rolling ? <Unlock /> : <Lock />}
            </button>
          )}
        </div>
      )}
    </Field>
  );
}
