/** Connecting by keyboard: every link that the selected node's ports could have, to search and choose from. */

import { useMemo, useState } from "react";
import { canConnect } from "../../model/connect";
import { formatRef, type PortRef } from "../../model/document";
import { match } from "../../model/fuzzy";
import { inspect } from "../../model/inspect";
import type { Point } from "../../model/view";
import { useEditor } from "../../store/context";
import { now } from "../canvas/context";
import { link } from "../canvas/edits";
import { typeColor } from "../canvas/ports";
import { useCanvas } from "../canvas/provide";
import { ui, useCanvasUi } from "../canvas/ui";
import styles from "./Palette.module.css";
import { Picker } from "./Picker";

interface Offer {
  readonly from: PortRef;
  readonly to: PortRef;
  readonly type: string;
  readonly text: string;
}

export function LinkPickerHost() {
  const at = useCanvasUi((state) => state.links);
  return at === null ? null : <LinkPicker at={at} />;
}

function LinkPicker({ at }: { readonly at: Point }) {
  const context = useCanvas();
  const catalog = useEditor((state) => state.catalog);
  const [query, setQuery] = useState("");
  const offers = useMemo(() => offersOf(context), [context]);
  const found = useMemo(() => {
    if (query.trim() === "") return offers;
    const scored = offers.flatMap((offer) => {
      const score = match(query, offer.text)?.score;
      return score === undefined ? [] : [{ offer, score }];
    });
    return scored.sort((a, b) => b.score - a.score).map(({ offer }) => offer);
  }, [offers, query]);
  const close = () => ui.openLinks(null);
  return (
    <Picker
      at={at}
      label="Connect"
      placeholder="Connect which ports?"
      query={query}
      onQuery={setQuery}
      groups={[["", found]]}
      keyOf={(offer) => offer.text}
      onChoose={({ from, to }) => {
        close();
        link(context, from, to);
      }}
      onClose={close}
      empty="Nothing on the canvas fits this node's ports."
    >
      {(offer) => (
        <>
          <span className={styles.dot} style={{ background: typeColor(catalog, offer.type) }} />
          <span className={styles.title}>{offer.text}</span>
          <span className={styles.aside}>{offer.type}</span>
        </>
      )}
    </Picker>
  );
}

/** Links from and to the selected node that are possible and not there; its inputs first. */
function offersOf(context: ReturnType<typeof useCanvas>): Offer[] {
  const { state, doc, at, selected } = now(context);
  const [id] = selected.nodes;
  const { catalog } = state;
  const info = inspect(catalog, doc, at);
  const own = id === undefined ? undefined : info.ports.get(id);
  if (id === undefined || own === undefined) return [];
  const offer = (from: PortRef, to: PortRef, type: string): Offer[] =>
    canConnect(catalog, doc, at, from, to).ok
      ? [{ from, to, type, text: `${formatRef(from)} \u2192 ${formatRef(to)}` }]
      : [];
  const others = [...info.ports].filter(([other]) => other !== id);
  const inputs = own.inputs.flatMap((input) =>
    others.flatMap(([node, ports]) =>
      ports.outputs.flatMap((output) => offer({ node, port: output.name }, { node: id, port: input.name }, input.type)),
    ),
  );
  const outputs = own.outputs.flatMap((output) =>
    others.flatMap(([node, ports]) =>
      ports.inputs.flatMap((input) => offer({ node: id, port: output.name }, { node, port: input.name }, output.type)),
    ),
  );
  // A number may feed every number: payloads come first, because these are what a graph is made of.
  const known = (found: Offer) => found.type in catalog.port_types;
  return [...inputs, ...outputs].sort((a, b) => Number(known(b)) - Number(known(a)));
}
