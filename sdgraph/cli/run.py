"""`sdgraph run`: run a workflow, write its files, say what happened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from sdgraph.cli.failure import CANCELLED, FAILED
from sdgraph.cli.loading import Loaded
from sdgraph.cli.progress import progress
from sdgraph.cli.signals import cancel_on_signals
from sdgraph.cli.stores import Shelf, open_shelf
from sdgraph.cli.streams import err, out, out_json, show_problems
from sdgraph.cli.workflow_command import Asked, workflow_command
from sdgraph.cli.workshop import Workshop, report_json, status_of
from sdgraph.engine.context import CancelToken
from sdgraph.engine.deliver import Delivered, delivers_files, require_writable
from sdgraph.engine.plan import Plan
from sdgraph.engine.report import RunReport, RunStatus

_EXIT_CODES: Mapping[RunStatus, int] = {"done": 0, "partial": FAILED, "failed": FAILED, "cancelled": CANCELLED}
_MAX_NAMED = 8


@workflow_command("Make only this output, and what it needs")
@click.option(
    "-o",
    "--output",
    "folder",
    metavar="DIR",
    default="output",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where files are written.",
)
def run(asked: Asked, folder: Path) -> int:
    """Run a workflow and write its results.

    FILE is a workflow (JSON, or a PNG that sdgraph wrote), or - for standard input.
    """
    loaded = asked.loaded
    with open_shelf(asked.settings, asked.registry) as shelf:
        workshop = Workshop(asked.settings, asked.registry, shelf)
        plan = workshop.plan(loaded, asked.only)
        if delivers_files(plan):
            require_writable(folder)
        report = _execute(workshop, loaded, plan)
        delivered = workshop.deliver(loaded, plan, report, folder)
        status = status_of(report, delivered)
        if status == "cancelled":
            err(_kept_text(report, shelf))
    show_problems(delivered.problems)
    err(_summary(report, status))
    if asked.as_json:
        out_json(report_json(loaded, report, delivered))
    else:
        _show(delivered)
    return _EXIT_CODES[status]


def _execute(workshop: Workshop, loaded: Loaded, plan: Plan) -> RunReport:
    token = CancelToken()
    with progress(plan) as listener, cancel_on_signals(token):
        return workshop.run(loaded, plan, listeners=(listener,), cancel=token)


def _show(delivered: Delivered) -> None:
    files = {str(path) for path in delivered.files}
    for path in delivered.files:
        out(str(path))
    for name, values in delivered.outputs.items():
        for value in values:
            if not (isinstance(value, str) and value in files):
                out(f"{name}: {value}")


def _summary(report: RunReport, status: RunStatus) -> str:
    counts = {word: report.count(word) for word in ("ran", "hit", "failed", "skipped")}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "nothing to run"
    return f"{status} in {report.elapsed_s:.1f} s: {said}"


def _kept_text(report: RunReport, shelf: Shelf) -> str:
    names = [
        name
        for name, node in report.nodes.items()
        if node.status in ("ran", "hit") and shelf.lasting.find(bytes.fromhex(node.key))
    ]
    if not names:
        return "Cancelled before any result was finished."
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"Cancelled. Kept: {', '.join(names[:_MAX_NAMED])}{more}. The next run goes on from there."
