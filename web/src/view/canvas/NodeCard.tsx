/** A node on the canvas: title, ports, widgets, what it made, and a strip with its plan or progress. */

import type { NodeProps } from "@xyflow/react";
import { type CSSProperties, memo, useMemo } from "react";
import { openGraphName } from "../../model/document";
import { own } from "../../model/json";
import { setLook } from "../../model/view";
import { useEditor } from "../../store/context";
import { Chevron, Down } from "../ui/icons";
import { syntaxIn } from "../widgets/PortWidget";
import { CardHead } from "./CardHead";
import { CardPreview } from "./CardPreview";
import { CardStrip } from "./CardStrip";
import { type Distance, useDistance } from "./distance";
import type { CardNode } from "./flow";
import { LinkRows } from "./LinkRows";
import styles from "./NodeCard.module.css";
import { statusOf } from "./nodeState";
import { linkPorts, shownValues, valuePorts } from "./ports";
import { useExposed } from "./useExposed";
import { ValueRow } from "./ValueRow";
import { categoryColor } from "./words";

const NONE: ReadonlySet<string> = new Set();

/** Where it lies is not its own business: a card that is dragged is not drawn again. */
export const NodeCard = memo(
  Card,
  (before, now) => before.id === now.id && before.data === now.data && before.selected === now.selected,
);

function Card({ id, data, selected }: NodeProps<CardNode>) {
  const { entry, ports, look } = data;
  const tone = useEditor((state) => statusOf(state, id).tone);
  const distance = useDistance();
  const color = look.color ?? categoryColor(ports.category);
  return (
    <article
      className={styles.card}
      style={{ "--category": color } as CSSProperties}
      data-selected={selected}
      data-mode={entry.mode ?? "run"}
      data-kind={ports.kind}
      data-tone={tone}
      data-distance={distance}
    >
      <CardHead id={id} entry={entry} ports={ports} tiny={distance === "tiny"} />
      {look.folded ? (
        <div className={styles.folded}>
          <LinkRows
            id={id}
            inputs={ports.inputs.filter((port) => entry.links?.[port.name])}
            outputs={ports.outputs}
            read={data.read}
            links={entry.links}
            exposed={NONE}
            bare
            far={distance === "tiny"}
          />
        </div>
      ) : (
        <Body id={id} data={data} distance={distance} />
      )}
      <CardStrip id={id} tiny={distance === "tiny"} />
    </article>
  );
}

interface BodyProps {
  readonly id: string;
  readonly data: CardNode["data"];
  readonly distance: Distance;
}

function Body({ id, data, distance }: BodyProps) {
  const { entry, ports, look } = data;
  const exposed = useExposed(id);
  const values = shownValues(ports.inputs, entry, look, exposed);
  const syntax = syntaxIn(entry.values);
  const hidden = valuePorts(ports.inputs).length - values.length;
  return (
    <>
      <LinkRows
        id={id}
        inputs={useMemo(() => linkPorts(ports.inputs), [ports.inputs])}
        outputs={ports.outputs}
        read={data.read}
        links={entry.links}
        exposed={exposed}
        far={distance === "tiny"}
      />
      {values.length > 0 && (
        <div className={styles.values}>
          {distance === "tiny" && <Bars count={values.filter(({ name }) => !isLinked(data, name)).length} />}
          {(distance === "tiny" ? values.filter(({ name }) => isLinked(data, name)) : values).map((port) => (
            <ValueRow
              key={port.name}
              id={id}
              port={port}
              link={own(entry.links, port.name)}
              value={own(entry.values, port.name)}
              nodeType={entry.type}
              syntax={syntax}
              exposed={exposed.has(port.name)}
              distance={distance}
            />
          ))}
        </div>
      )}
      {(hidden > 0 || look.open) &&
        (distance === "tiny" ? <div className={styles.more} /> : <More id={id} hidden={hidden} />)}
      <CardPreview id={id} distance={distance} />
    </>
  );
}

function isLinked(data: CardNode["data"], port: string): boolean {
  return own(data.entry.links, port) !== undefined;
}

/** As high as the values that it stands for. */
function Bars({ count }: { readonly count: number }) {
  return count === 0 ? null : <div className={styles.bars} style={{ height: `${count * 2}rem` }} />;
}

function More({ id, hidden }: { readonly id: string; readonly hidden: number }) {
  const apply = useEditor((state) => state.apply);
  const at = useEditor((state) => openGraphName(state.path));
  const toggle = () =>
    apply((doc) => setLook(doc, at, id, { open: hidden > 0 ? true : undefined }), { label: "Show settings" });
  return (
    <button type="button" className={`nodrag ${styles.more}`} aria-expanded={hidden === 0} onClick={toggle}>
      {hidden > 0 ? <Chevron /> : <Down />}
      {hidden > 0 ? `${hidden} more settings` : "Fewer settings"}
    </button>
  );
}
