"""What is shown while a run goes on: bars on a terminal, one line for each node otherwise."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager

from sdgraph.cli.streams import err
from sdgraph.engine.events import Listener, RunEvent
from sdgraph.engine.plan import Action, Plan
from sdgraph.errors import Problem


@contextmanager
def progress(plan: Plan) -> Generator[Listener]:
    """A listener that shows the run on stderr."""
    if plan.count(Action.RUN) and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from sdgraph.cli.bars import Bars  # rich is slow to import

        with Bars(plan) as bars:
            yield bars.listen
    else:
        yield Lines(plan).listen


class Lines:
    """One line for each node that ran, hit or failed."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lock = threading.Lock()

    def listen(self, event: RunEvent) -> None:
        """Show an event; called from the threads of the run."""
        if (line := line_of(event, self._plan)) is not None:
            with self._lock:
                err(line)


def line_of(event: RunEvent, plan: Plan) -> str | None:
    """The line for an event, if it deserves one."""
    match event.type:
        case "node_cached":
            return f"hit   {event.node}  ({_reason(event, plan)})"
        case "node_waiting":
            return f"wait  {event.node}  ({event.data['reason']})"
        case "node_finished":
            return f"ran   {event.node}  {event.data['elapsed_s']:.2f} s  ({_reason(event, plan)})"
        case "node_progress" if "note" in event.data:
            return f"note  {event.node}  {event.data['note']}"
        case "model" if "bytes" in event.data:
            return _model_line(event)
        case "model" if "flops" in event.data:
            return _pruned_line(event)
        case "remedy":
            return f"memory {event.node}  {event.data['text']}"
        case "node_failed" | "warning":
            problem = Problem(**event.data["problem"])
            return f"{problem.severity}: {problem}"
        case _:
            return None


def _model_line(event: RunEvent) -> str:
    """What became of a model: where it is, how large it is, how long it took."""
    data = event.data
    took = f", {data['elapsed_s']:.2f} s" if data["elapsed_s"] else ""
    if "graphs" in data:
        return f"model {event.node}  {data['what']} {data['model']} ({data['graphs']} graphs, {data['device']}{took})"
    return (
        f"model {event.node}  {data['what']} {data['model']} ({data['bytes'] / 2**20:.1f} MiB, {data['device']}{took})"
    )


def _pruned_line(event: RunEvent) -> str:
    """What pruning saves of a model."""
    data = event.data
    size = f"{data['parameters'] / 1e6:.2f} of {data['parameters_whole'] / 1e6:.2f} million parameters"
    work = f"{data['flops'] / 1e9:.3f} of {data['flops_whole'] / 1e9:.3f} GFLOP per evaluation"
    return f"model {event.node}  pruned {data['model']} ({size}, {work})"


def _reason(event: RunEvent, plan: Plan) -> str:
    step = plan.step_of[event.node or ""]
    if step.action is Action.RUN and step.node.id != event.node:
        return f"the same as {step.node.id}"
    return step.reason.text
