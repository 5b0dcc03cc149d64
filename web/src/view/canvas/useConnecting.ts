/** Drawing links: what they may end at, and what happens where they end. */

import type { Connection, Edge, FinalConnectionState, HandleType, OnConnectStartParams } from "@xyflow/react";
import { useMemo, useRef } from "react";
import { canConnect, connect } from "../../model/connect";
import { formatRef, type PortRef } from "../../model/document";
import { inputPort, inspect, outputType } from "../../model/inspect";
import { accepts } from "../../model/porttypes";
import { rerouteSource, setVia } from "../../model/reroute";
import { type CanvasContext, now } from "./context";
import { link, unlink } from "./edits";
import { type CanvasNode, partOf, type Wire } from "./flow";
import { type OpenEnd, ui, useCanvasUi } from "./ui";

export function useConnecting(context: CanvasContext) {
  /** The link whose end was taken off; put back when the drop came to nothing but its port was left. */
  const taken = useRef<Wire | null>(null);
  return useMemo(() => {
    const ends = (found: {
      source: string | null;
      sourceHandle: string | null;
      target: string | null;
      targetHandle: string | null;
    }) => {
      const from = sourceOf(context, found.source, found.sourceHandle);
      const to = portIn(found.target, found.targetHandle, "in:");
      return from === null || to === null ? null : { from, to };
    };
    return {
      isValidConnection(found: Connection | Edge) {
        const both = ends({ sourceHandle: null, targetHandle: null, ...found });
        if (both === null) return false;
        const { state, doc, at } = now(context);
        return canConnect(state.catalog, doc, at, both.from, both.to).ok;
      },
      onConnect(found: Connection) {
        const both = ends(found);
        if (both === null) return;
        const point = partOf(found.source, "reroute");
        if (link(context, both.from, both.to) && point !== null) leadThrough(context, both.to, point);
      },
      onConnectStart(_: unknown, { nodeId, handleId, handleType }: OnConnectStartParams) {
        useCanvasUi.setState({ connecting: openEnd(context, nodeId, handleId, handleType), menu: null, palette: null });
      },
      onConnectEnd(event: MouseEvent | TouchEvent, state: FinalConnectionState) {
        const end = useCanvasUi.getState().connecting;
        useCanvasUi.setState({ connecting: null });
        if (taken.current !== null || end === null || state.isValid) return;
        dropped(context, event, state, end);
      },
      onReconnectStart(_: unknown, wire: Wire) {
        taken.current = wire;
      },
      onReconnect(wire: Wire, found: Connection) {
        const both = ends(found);
        if (both === null || wire.data?.target === undefined || wire.data.target === null) return;
        const moved = formatRef(both.to) !== formatRef(wire.data.target);
        if (link(context, both.from, both.to) && moved) unlink(context, wire.data.target);
      },
      onReconnectEnd(event: MouseEvent | TouchEvent, wire: Wire, _: HandleType, state: FinalConnectionState) {
        taken.current = null;
        useCanvasUi.setState({ connecting: null });
        if (state.isValid || wire.data === undefined) return;
        const { target, source } = wire.data;
        // Let go over nothing, a link is gone; over a port that does not take it, it stays.
        if (state.toHandle !== null)
          refuse(context, event, source, portIn(state.toHandle.nodeId, state.toHandle.id ?? null, "in:"));
        else if (target !== null) unlink(context, target);
      },
    };
  }, [context]);
}

/** A link was let go where it could not be made: on a port, on a node, or on the empty canvas. */
function dropped(
  context: CanvasContext,
  event: MouseEvent | TouchEvent,
  state: FinalConnectionState,
  end: OpenEnd,
): void {
  const at = pointOf(event);
  const node = nodeAt(context, at);
  if (state.toHandle !== null && state.toHandle !== undefined) {
    const prefix = end.side === "output" ? "in:" : "out:";
    const port = portIn(state.toHandle.nodeId, state.toHandle.id ?? null, prefix);
    const same = end.side === "output" ? "an input" : "an output";
    if (port === null) context.editor.getState().notify({ kind: "bad", text: `Connect it to ${same}.`, at });
    else if (end.side === "output") refuse(context, event, end, port);
    else refuse(context, event, port, end);
  } else if (node !== null) onNode(context, node, end, at);
  else ui.openPalette({ at, place: context.flow.screenToFlowPosition(at), end });
}

/** Let go over a node, a link takes the first of its ports that it fits. */
function onNode(context: CanvasContext, id: string, end: OpenEnd, at: { x: number; y: number }): void {
  const { state, doc, at: graph } = now(context);
  if (id === end.node) return;
  const info = inspect(state.catalog, doc, graph);
  const ports = info.ports.get(id);
  const own = { node: end.node, port: end.port };
  const pairs = (end.side === "output" ? ports?.inputs : ports?.outputs)?.map((port) =>
    end.side === "output"
      ? { from: own, to: { node: id, port: port.name } }
      : { from: { node: id, port: port.name }, to: own },
  );
  const fits = pairs?.filter(({ from, to }) => canConnect(state.catalog, doc, graph, from, to).ok) ?? [];
  const exact = fits.find(({ from, to }) => inputPort(info, to)?.type === outputType(info, from));
  const chosen = exact ?? fits[0];
  if (chosen !== undefined) link(context, chosen.from, chosen.to);
  else {
    const closed = pairs?.find(({ from, to }) =>
      accepts(inputPort(info, to)?.type ?? "", outputType(info, from) ?? ""),
    );
    if (closed !== undefined) link(context, closed.from, closed.to);
    else
      state.notify({
        kind: "bad",
        text: `\`${id}\` has no port that ${end.side === "output" ? "takes" : "gives"} ${end.type}.`,
        at,
      });
  }
}

function refuse(context: CanvasContext, event: MouseEvent | TouchEvent, from: PortRef, to: PortRef | null): void {
  if (to === null) return;
  const { state, doc, at } = now(context);
  const verdict = canConnect(state.catalog, doc, at, from, to);
  if (verdict.ok) return;
  const hint = verdict.hint === undefined ? {} : { hint: verdict.hint };
  state.notify({ kind: "bad", text: verdict.why, at: pointOf(event), ...hint });
}

function leadThrough(context: CanvasContext, to: PortRef, point: string): void {
  const { state, at } = now(context);
  const through = (doc: typeof state.history.present) => {
    const source = rerouteSource(doc, at, point);
    return source === null ? doc : setVia(connect(doc, at, source, to), at, to, point);
  };
  state.apply(through, { label: "Connect" });
}

function openEnd(
  context: CanvasContext,
  node: string | null,
  handle: string | null,
  side: HandleType | null,
): OpenEnd | null {
  const { state, doc, at } = now(context);
  const info = inspect(state.catalog, doc, at);
  if (side === "source") {
    const from = sourceOf(context, node, handle);
    return from === null ? null : { ...from, side: "output", type: outputType(info, from) ?? "Any" };
  }
  const to = portIn(node, handle, "in:");
  return to === null ? null : { ...to, side: "input", type: inputPort(info, to)?.type ?? "Any" };
}

function sourceOf(context: CanvasContext, node: string | null, handle: string | null): PortRef | null {
  const point = node === null ? null : partOf(node, "reroute");
  const { doc, at } = now(context);
  return point === null ? portIn(node, handle, "out:") : rerouteSource(doc, at, point);
}

function portIn(node: string | null, handle: string | null, prefix: "in:" | "out:"): PortRef | null {
  return node === null || !handle?.startsWith(prefix) ? null : { node, port: handle.slice(prefix.length) };
}

function nodeAt(context: CanvasContext, at: { x: number; y: number }): string | null {
  const element = document.elementFromPoint(at.x, at.y)?.closest<HTMLElement>(".react-flow__node-card");
  const id = element?.dataset["id"];
  const node: CanvasNode | undefined = id === undefined ? undefined : context.flow.getNode(id);
  return node?.type === "card" ? node.id : null;
}

function pointOf(event: MouseEvent | TouchEvent): { x: number; y: number } {
  const touch = "changedTouches" in event ? event.changedTouches[0] : undefined;
  const found = touch ?? (event as MouseEvent);
  return { x: found.clientX, y: found.clientY };
}
