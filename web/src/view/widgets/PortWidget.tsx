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
  /** Which port it is, "sample.seed": what belongs to the window and not to the file is kept under it. */
  readonly at?: string | undefined;
  /** Values of the node's other ports, where a widget depends on one: how a prompt's weights are written. */
  readonly siblings?: Readonly<Record<string, Json>> | undefined;
}

export function PortWidget({ port: given, at, siblings, ...shared }: PortWidgetProps) {
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
      return <ModelWidget port={port} {...shared} />;
    case "multiline":
      return <PromptWidget port={port} {...shared} syntax={textOf(siblings?.["syntax"])} />;
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

function textOf(value: Json | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}
