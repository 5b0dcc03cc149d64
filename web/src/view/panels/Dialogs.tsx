/** Renders the dialog that is open. */

import { Comparer } from "../compare/Comparer";
import { RunDialog } from "../history/RunDialog";
import { useDialogs } from "./dialogs";
import { ExportDialog } from "./ExportDialog";
import { TemplatesDialog } from "./TemplatesDialog";

export function Dialogs() {
  const open = useDialogs((state) => state.open);
  const compared = useDialogs((state) => state.compared);
  return (
    <>
      {open?.name === "templates" && <TemplatesDialog />}
      {open?.name === "export" && <ExportDialog />}
      {open?.name === "run" && open.run && <RunDialog key={open.run} id={open.run} />}
      {compared && <Comparer pictures={compared} />}
    </>
  );
}
