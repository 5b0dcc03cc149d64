/** The canvas: the open graph in React Flow, and what pointers do to it. */

import "@xyflow/react/dist/base.css";
import {
  applyNodeChanges,
  Background,
  BackgroundVariant,
  ConnectionMode,
  type EdgeChange,
  MiniMap,
  type NodeChange,
  ReactFlow,
} from "@xyflow/react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { openGraphName } from "../../model/document";
import { useEditor } from "../../store/context";
import { Breadcrumbs } from "./Breadcrumbs";
import styles from "./Canvas.module.css";
import { ConnectionLine } from "./ConnectionLine";
import { GRID_PX } from "./context";
import { useDistance } from "./distance";
import { show } from "./edits";
import { CommentNote, GroupFrame, RerouteDot } from "./Frames";
import { type CanvasNode, type Flow, flowOf, NO_FLOW, type Wire } from "./flow";
import { merged } from "./merge";
import { NodeCard } from "./NodeCard";
import { useCanvas } from "./provide";
import { ui, useCanvasUi } from "./ui";
import { useConnecting } from "./useConnecting";
import { useDragging } from "./useDragging";
import { useDropping } from "./useDropping";
import { useKeys } from "./useKeys";
import { useMoving } from "./useMoving";
import { usePressing } from "./usePressing";
import { useWholeView } from "./useWholeView";
import { Welcome } from "./Welcome";
import { WireLine } from "./WireLine";
import { categoryColor } from "./words";
import { ZoomBar } from "./ZoomBar";

const NODE_TYPES = { card: NodeCard, group_: GroupFrame, comment: CommentNote, reroute: RerouteDot };
const EDGE_TYPES = { wire: WireLine };
const GRID: [number, number] = [GRID_PX, GRID_PX];
const BARE = { hideAttribution: true };

export function Canvas() {
  const context = useCanvas();
  useKeys(context);
  const { nodes, wires, onNodesChange, onWiresChange } = useFlow();
  useWholeView(context);
  useFocus();
  const connecting = useConnecting(context);
  const moving = useMoving();
  const dragging = useDragging(context, moving);
  const pressing = usePressing(context);
  const dropping = useDropping(context);
  const tiny = useDistance() === "tiny";
  const whole = useCanvasUi((state) => state.whole);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: adding by double-click is one way; Tab is the other
    <div
      ref={moving.canvas}
      className={styles.canvas}
      onDoubleClick={(event) => {
        if (!isPane(event.target)) return;
        const at = { x: event.clientX, y: event.clientY };
        ui.openPalette({ at, place: context.flow.screenToFlowPosition(at) });
      }}
      {...dropping}
    >
      <ReactFlow<CanvasNode, Wire>
        nodes={nodes}
        edges={wires}
        nodeTypes={NODE_TYPES}
        edgeTypes={EDGE_TYPES}
        onNodesChange={onNodesChange}
        onEdgesChange={onWiresChange}
        {...connecting}
        {...dragging}
        onMoveStart={moving.view}
        onMoveEnd={moving.end}
        edgesReconnectable={!tiny}
        connectionLineComponent={ConnectionLine}
        connectionMode={ConnectionMode.Strict}
        connectionRadius={22}
        reconnectRadius={12}
        onlyRenderVisibleElements={!whole}
        elevateNodesOnSelect
        snapToGrid
        snapGrid={GRID}
        minZoom={0.05}
        maxZoom={2.5}
        deleteKeyCode={null}
        multiSelectionKeyCode={["Meta", "Control", "Shift"]}
        selectionKeyCode="Shift"
        disableKeyboardA11y
        zoomOnDoubleClick={false}
        nodeDragThreshold={3}
        {...pressing}
        proOptions={BARE}
        aria-label="Workflow graph"
      >
        <Background variant={BackgroundVariant.Dots} gap={24} size={1.4} color="var(--canvas-dot)" />
        {nodes.length > 0 && (
          <MiniMap<CanvasNode>
            pannable
            zoomable
            ariaLabel="Overview of the graph"
            nodeColor={miniColor}
            nodeStrokeWidth={0}
            nodeBorderRadius={6}
            className={styles.minimap ?? ""}
          />
        )}
      </ReactFlow>
      <Welcome />
      <Breadcrumbs />
      <ZoomBar />
    </div>
  );
}

/** The open graph as React Flow's nodes and edges; places while dragging and selection of links are this window's. */
function useFlow() {
  const catalog = useEditor((state) => state.catalog);
  const doc = useEditor((state) => state.history.present);
  const at = useEditor((state) => openGraphName(state.path));
  const selection = useEditor((state) => state.selection);
  const last = useRef<Flow>(NO_FLOW);
  const flow = useMemo(() => {
    last.current = flowOf(catalog, doc, at, last.current);
    return last.current;
  }, [catalog, doc, at]);
  const [nodes, setNodes] = useState<CanvasNode[]>([]);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => setNodes((before) => merged(before, flow.nodes, selection)), [flow.nodes, selection]);
  const wires = useMemo(
    () => flow.wires.map((wire) => (chosen.has(wire.id) ? { ...wire, selected: true } : wire)),
    [flow.wires, chosen],
  );
  const context = useCanvas();
  const onNodesChange = useCallback(
    (changes: NodeChange<CanvasNode>[]) => {
      const selects = changes.filter((change) => change.type === "select");
      const { selection: before, select } = context.editor.getState();
      if (selects.length > 0) select(after(before, selects));
      const others = changes.filter((change) => change.type !== "select");
      if (others.length > 0) setNodes((before) => applyNodeChanges(others, before));
    },
    [context],
  );
  const onWiresChange = useCallback((changes: EdgeChange<Wire>[]) => {
    const selects = changes.filter((change) => change.type === "select");
    if (selects.length > 0) setChosen((before) => after(before, selects));
  }, []);
  return { nodes, wires, onNodesChange, onWiresChange };
}

function after(
  before: ReadonlySet<string>,
  changes: readonly { readonly id: string; readonly selected: boolean }[],
): Set<string> {
  const next = new Set(before);
  for (const { id, selected } of changes) {
    if (selected) next.add(id);
    else next.delete(id);
  }
  return next;
}

/** Brings a node into view that somebody asked for. */
function useFocus() {
  const context = useCanvas();
  const focus = useEditor((state) => state.focus);
  useEffect(() => {
    if (focus === null) return;
    // Its graph may have been opened just now: it is drawn after this.
    const frame = requestAnimationFrame(() => requestAnimationFrame(() => show(context, focus.node)));
    return () => cancelAnimationFrame(frame);
  }, [context, focus]);
}

function isPane(target: EventTarget): boolean {
  return target instanceof Element && target.classList.contains("react-flow__pane");
}

function miniColor(node: CanvasNode): string {
  if (node.type === "card") return node.data.look.color ?? categoryColor(node.data.ports.category);
  return node.type === "comment" ? "var(--warn-soft)" : "var(--surface-active)";
}
