"""Live progress bars on a terminal: the whole run, and each node that is at work."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from sdgraph.cli.progress import line_of
from sdgraph.engine.events import RunEvent
from sdgraph.engine.plan import Plan


class Bars:
    """Listens to a run and draws it. Lines of finished nodes scroll up above the bars."""

    def __init__(self, plan: Plan, console: Console | None = None) -> None:
        self._plan = plan
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console or Console(stderr=True),
            transient=True,
        )
        self._all = self._progress.add_task("nodes", total=len(plan.to_run()))
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def listen(self, event: RunEvent) -> None:
        """Show an event; called from the threads of the run."""
        node = event.node or ""
        if event.type == "node_started":
            self._tasks[node] = self._progress.add_task(node, total=None)
        elif event.type == "node_progress" and node in self._tasks:
            self._progress.update(self._tasks[node], completed=event.data["done"], total=event.data["total"])
        elif event.type == "model" and "done_bytes" in event.data and node in self._tasks:
            loaded, total = (event.data[name] // 2**20 for name in ("done_bytes", "total_bytes"))
            self._progress.update(self._tasks[node], completed=loaded, total=total)
        if (line := line_of(event, self._plan)) is not None:
            self._progress.console.print(Text(line), soft_wrap=True)
        if event.type in ("node_finished", "node_failed"):
            self._progress.remove_task(self._tasks.pop(node))
            self._progress.advance(self._all)
        elif event.type == "node_cached" and self._plan.step_of[node].reason.code == "shared":
            self._progress.advance(self._all)
