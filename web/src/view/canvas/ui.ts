/** What the canvas shows for a moment and no document keeps: menus, the palette, the link that is being drawn. */

import { create } from "zustand";
import type { PortRef } from "../../model/document";
import type { Point } from "../../model/view";

/** A port that a link is drawn from. */
export interface OpenEnd extends PortRef {
  readonly side: "input" | "output";
  readonly type: string;
}

export interface PaletteRequest {
  /** Where it opens, in CSS pixels of the window. */
  readonly at: Point;
  /** Where the node goes, in the canvas' coordinates. */
  readonly place: Point;
  /** Only nodes that fit this end are offered, and the one chosen is connected to it. */
  readonly end?: OpenEnd;
}

export type MenuTarget =
  | { readonly kind: "pane"; readonly place: Point }
  | { readonly kind: "selection" }
  | { readonly kind: "port"; readonly ref: PortRef; readonly side: "input" | "output" }
  | { readonly kind: "wire"; readonly id: string; readonly place: Point };

export interface MenuRequest {
  readonly at: Point;
  readonly target: MenuTarget;
}

interface CanvasUi {
  readonly palette: PaletteRequest | null;
  readonly menu: MenuRequest | null;
  readonly connecting: OpenEnd | null;
  /** Why the port under the pointer does not take the link that is drawn. */
  readonly refusal: string | null;
  readonly renaming: string | null;
  /** The type of node that is dragged from the library. */
  readonly dragged: string | null;
  /** The link that it would go into. */
  readonly target: string | null;
  readonly help: boolean;
  readonly links: Point | null;
  readonly library: boolean;
  /** Whether all nodes are drawn, also those out of view: a picture of the graph is being taken. */
  readonly whole: boolean;
}

const LIBRARY = "sdgraph.library";
const WIDE_PX = 1600;

/** What the person chose; at first the library is open where it leaves the canvas enough room. */
function libraryOpen(): boolean {
  const chosen = globalThis.localStorage?.getItem(LIBRARY) ?? null;
  return chosen === null ? (globalThis.innerWidth ?? 0) >= WIDE_PX : chosen === "open";
}

export const useCanvasUi = create<CanvasUi>(() => ({
  palette: null,
  menu: null,
  connecting: null,
  refusal: null,
  renaming: null,
  dragged: null,
  target: null,
  help: false,
  links: null,
  library: libraryOpen(),
  whole: false,
}));

export const ui = {
  openPalette: (palette: PaletteRequest) => useCanvasUi.setState({ palette, menu: null }),
  closePalette: () => useCanvasUi.setState({ palette: null }),
  openMenu: (menu: MenuRequest) => useCanvasUi.setState({ menu, palette: null }),
  closeMenu: () => useCanvasUi.setState({ menu: null }),
  rename: (id: string | null) => useCanvasUi.setState({ renaming: id }),
  drag: (dragged: string | null) => useCanvasUi.setState({ dragged, target: null }),
  showHelp: (help: boolean) => useCanvasUi.setState({ help }),
  drawWhole: (whole: boolean) => useCanvasUi.setState({ whole }),
  openLinks: (links: Point | null) => useCanvasUi.setState({ links }),
  toggleLibrary() {
    const library = !useCanvasUi.getState().library;
    localStorage.setItem(LIBRARY, library ? "open" : "closed");
    useCanvasUi.setState({ library });
  },
};
