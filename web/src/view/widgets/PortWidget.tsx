/** The widget of an input port, chosen by what the catalogue says about it. */

import type { InputPort } from "../../model/catalog";
import type { Json } from "../../model/json";
import { BooleanWidget } from "./BooleanWidget";
import { ChoiceWidget } from "./ChoiceWidget";
import { CurveWidget } from "./CurveWidget";
import { FileWidget } from "./FileWidget";
import { ListWidget } from "./ListWidget";
import { ModelWidget } from "./ModelWidget";
import { NumberWidget } from "./NumberWidget";
import { ObjectWidget } from "./ObjectWidget";
import { PromptWidget } from "./PromptWidget";
import { type PortSpec, widgetOf } from "./port";
import { SeedWidget } from "./SeedWidget";
import { StagesWidget } from "./StagesWidget";
import { TextWidget } from "./TextWidget";

export interface PortWidgetProps {
  readonly port: InputPort;
  /** Undefined: the port's default. */
  readonly value: Json | undefined;
  /** Undefined takes the port back to its default. */
  readonly onChange: (value: Json | undefined) => void;
  readonly problem?: string | null | undefined;
  /** The port's address: what belongs to the window and not to the file is kept under it. */
  readonly at?: string | undefined;
  /** The type of the node. */
  readonly nodeType: string;
  /** How the node writes the weights of a prompt; undefined for its default. */
  readonly syntax?: string | undefined;
}

export function PortWidget({ port: given, at, nodeType, syntax, ...shared }: PortWidgetProps) {
  const port = given as PortSpec;
  switch (widgetOf(port)) {
    case "boolean":
      return <BooleanWidget port={port} {...shared} />;
    case "choice":
      return <ChoiceWidget port={port} {...shared} />;
    case "curve":
      return <CurveWidget port={port} {...shared} />;
    case "file":
      return <FileWidget port={port} {...shared} at={at} />;
    case "integer":
    case "number":
      return <NumberWidget port={port} {...shared} />;
    case "list":
      return <ListWidget port={port} {...shared} />;
    case "model":
      return <ModelWidget port={port} {...shared} nodeType={nodeType} />;
    case "multiline":
      return <PromptWidget port={port} {...shared} syntax={syntax} />;
    case "object":
      return <ObjectWidget port={port} {...shared} />;
    case "seed":
      return <SeedWidget port={port} {...shared} at={at} />;
    case "stages":
      return <StagesWidget port={port} {...shared} />;
    case "text":
      return <TextWidget port={port} {...shared} />;
    case "none":
      return null;
  }
}

/** The `syntax` that a node's values give its prompts. */
export function syntaxIn(values: Readonly<Record<string, Json>> | undefined): string | undefined {
  const given = values?.["syntax"];
  return typeof given === "string" ? given : undefined;
}
