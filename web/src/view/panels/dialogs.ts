/** Which dialog is open. One at a time; opening another closes it. */

import { create } from "zustand";
import type { Picture } from "../../api/types";

export type DialogName = "export" | "run" | "templates";

export interface OpenDialog {
  readonly name: DialogName;
  /** The run that `run` shows. */
  readonly run?: string;
}

interface DialogState {
  readonly open: OpenDialog | null;
  /** Two pictures side by side; null: the comparer is closed. */
  readonly compared: readonly [Picture, Picture] | null;
  /** The picture that the next one is compared with. */
  readonly pinned: Picture | null;
}

export const useDialogs = create<DialogState>(() => ({ open: null, compared: null, pinned: null }));

export const dialogs = {
  open: (name: DialogName, more: Omit<OpenDialog, "name"> = {}) => useDialogs.setState({ open: { name, ...more } }),
  close: () => useDialogs.setState({ open: null }),
  /** Keep a picture for comparing; with one kept already, show both. */
  compare(picture: Picture): void {
    const { pinned } = useDialogs.getState();
    const same = pinned?.digest === picture.digest;
    if (pinned === null || same) useDialogs.setState({ pinned: same ? null : picture });
    else useDialogs.setState({ compared: [pinned, picture], pinned: null });
  },
  closeComparer: () => useDialogs.setState({ compared: null }),
};
