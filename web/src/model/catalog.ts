/** What `GET /api/catalog` says: node types with their ports, and the types that travel along links. */

import type { Dict, Json } from "./json";
import type { Problem } from "./problem";

/** A JSON Schema of a value, as pydantic writes it. */
export type Schema = Dict<Json>;

export interface InputPort {
  readonly name: string;
  readonly type: string;
  /** It must be fed: there is no default. */
  readonly required: boolean;
  /** It accepts null, for example a link that is left out. */
  readonly optional: boolean;
  readonly help: string;
  /** False: the value must be known before the run, so only value nodes may feed it. */
  readonly linkable: boolean;
  readonly lazy: boolean;
  readonly title?: string;
  readonly constraints?: Dict<Json>;
  readonly unit?: string;
  readonly widget?: string;
  readonly default?: Json;
  /** There for ports whose value can be typed in. */
  readonly schema?: Schema;
}

export interface OutputPort {
  readonly name: string;
  readonly type: string;
  readonly help: string;
}

export interface NodeType {
  readonly type: string;
  readonly version: number;
  readonly title: string;
  readonly category: string;
  readonly pack: string;
  readonly doc: string;
  readonly lane: string;
  /** It writes files. */
  readonly saves: boolean;
  /** It is computed while planning when nothing that runs feeds it. */
  readonly folds?: boolean;
  readonly inputs: readonly InputPort[];
  readonly outputs: readonly OutputPort[];
}

export interface PortType {
  readonly doc: string;
  /** CSS colour of its ports and links. */
  readonly color: string;
  readonly stored: boolean;
}

export interface Catalog {
  readonly schema: string;
  readonly nodes: Dict<NodeType>;
  readonly port_types: Dict<PortType>;
  readonly packs: Dict<string>;
  readonly problems: readonly Problem[];
}

/** Whether a value of the port can be typed in; payloads come only over links. */
export function takesValue(port: InputPort): boolean {
  return port.schema !== undefined || port.type === "Any";
}
