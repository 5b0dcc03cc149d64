import type { Json } from "../../model/json";
import type { PortSpec } from "./port";

/** What every widget takes. `value` undefined means the port's default; so does `onChange(undefined)`. */
export interface WidgetProps {
  readonly port: PortSpec;
  readonly value: Json | undefined;
  readonly onChange: (value: Json | undefined) => void;
  /** What the server says about the value; a widget adds what it sees itself. */
  readonly problem?: string | null | undefined;
}
