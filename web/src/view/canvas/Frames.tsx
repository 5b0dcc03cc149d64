/** Groups, comments and reroutes on the canvas. */

import { Handle, type NodeProps, NodeResizer, Position } from "@xyflow/react";
import { type CSSProperties, type KeyboardEvent, memo } from "react";
import { openGraphName } from "../../model/document";
import { changeComment, changeGroup } from "../../model/frames";
import type { Box } from "../../model/view";
import { useEditor } from "../../store/context";
import styles from "./Frames.module.css";
import { type CommentNode, type GroupNode, partOf, type RerouteNode } from "./flow";
import { typeColor } from "./ports";
import { ui, useCanvasUi } from "./ui";

const LEAST_PX = 80;

export const GroupFrame = memo(function GroupFrame({ id, data, selected }: NodeProps<GroupNode>) {
  const name = partOf(id, "group") ?? "";
  const apply = useEditor((state) => state.apply);
  const at = useEditor((state) => openGraphName(state.path));
  const renaming = useCanvasUi((state) => state.renaming === id);
  const resize = (box: Box) =>
    apply((doc) => changeGroup(doc, at, name, box), { label: "Resize group", merge: `resize ${id}` });
  const rename = (title: string) => {
    apply((doc) => changeGroup(doc, at, name, { title }), { label: "Rename group" });
    ui.rename(null);
  };
  return (
    <section
      className={styles.group}
      style={{ "--frame": data.group.color ?? "var(--line-control)" } as CSSProperties}
      data-selected={selected}
    >
      <NodeResizer
        isVisible={selected ?? false}
        minWidth={LEAST_PX}
        minHeight={LEAST_PX}
        onResize={(_, box) => resize(sized(box))}
      />
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the pointer's short way; F2 does it too */}
      <header onDoubleClick={() => ui.rename(id)}>
        {renaming ? <NameField name={data.group.title} onClose={rename} /> : <h3>{data.group.title || "Group"}</h3>}
      </header>
    </section>
  );
});

export const CommentNote = memo(function CommentNote({ id, data, selected }: NodeProps<CommentNode>) {
  const name = partOf(id, "comment") ?? "";
  const apply = useEditor((state) => state.apply);
  const at = useEditor((state) => openGraphName(state.path));
  const renaming = useCanvasUi((state) => state.renaming === id);
  const resize = (box: Box) =>
    apply((doc) => changeComment(doc, at, name, box), { label: "Resize comment", merge: `resize ${id}` });
  const write = (text: string) => {
    apply((doc) => changeComment(doc, at, name, { text }), { label: "Write comment" });
    ui.rename(null);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the pointer's short way; F2 does it too
    <section className={styles.comment} data-selected={selected} onDoubleClick={() => ui.rename(id)}>
      <NodeResizer
        isVisible={selected ?? false}
        minWidth={LEAST_PX}
        minHeight={40}
        onResize={(_, box) => resize(sized(box))}
      />
      {renaming ? (
        <textarea
          className="nodrag nowheel"
          // biome-ignore lint/a11y/noAutofocus: the person asked to write
          autoFocus
          defaultValue={data.comment.text}
          aria-label="Text of the comment"
          onKeyDown={(event) => {
            event.stopPropagation();
            if (event.key === "Escape") event.currentTarget.blur();
          }}
          onBlur={(event) => write(event.target.value)}
        />
      ) : (
        <p>{data.comment.text || <em>Double-click to write</em>}</p>
      )}
    </section>
  );
});

export const RerouteDot = memo(function RerouteDot({ data, selected }: NodeProps<RerouteNode>) {
  const color = useEditor((state) => typeColor(state.catalog, data.type));
  return (
    <div className={styles.reroute} style={{ "--type": color } as CSSProperties} data-selected={selected}>
      <Handle type="target" id="in" position={Position.Left} isConnectable={false} />
      <Handle type="source" id="out" position={Position.Right} />
    </div>
  );
});

function NameField({ name, onClose }: { readonly name: string; readonly onClose: (name: string) => void }) {
  const keys = (event: KeyboardEvent<HTMLInputElement>) => {
    event.stopPropagation();
    if (event.key === "Enter" || event.key === "Escape") event.currentTarget.blur();
  };
  return (
    <input
      className="nodrag"
      // biome-ignore lint/a11y/noAutofocus: the person asked to rename
      autoFocus
      defaultValue={name}
      aria-label="Name of the group"
      onFocus={(event) => event.target.select()}
      onKeyDown={keys}
      onBlur={(event) => onClose(event.target.value)}
    />
  );
}

function sized({ x, y, width, height }: Box): Box {
  return { x: Math.round(x), y: Math.round(y), width: Math.round(width), height: Math.round(height) };
}
