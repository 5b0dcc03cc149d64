"""`sdgraph run`: run a workflow, write its files, say what happened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from sdgraph import __version__
from sdgraph.cli.failure import CANCELLED, FAILED
from sdgraph.cli.loading import Loaded, load
from sdgraph.cli.memory import peak_memory_bytes
from sdgraph.cli.options import cache_option, device_option, file_argument, input_options, json_option
from sdgraph.cli.progress import progress
from sdgraph.cli.signals import cancel_on_signals
from sdgraph.cli.stores import Shelf, open_shelf
from sdgraph.cli.streams import err, out, out_json, show_problems
from sdgraph.core.inline import self_contained
from sdgraph.core.registry import Registry
from sdgraph.engine.context import CancelToken, Services
from sdgraph.engine.deliver import Delivered, deliver, delivers_files, picture_texts, require_writable
from sdgraph.engine.executor import Executor
from sdgraph.engine.plan import Action, Plan, make_plan
from sdgraph.engine.record import records_of
from sdgraph.engine.report import RunReport, RunStatus
from sdgraph.models.device import resolve_device
from sdgraph.models.pool import ModelPool
from sdgraph.settings import Settings, read_settings

_EXIT_CODES: Mapping[RunStatus, int] = {"done": 0, "partial": FAILED, "failed": FAILED, "cancelled": CANCELLED}
_MAX_NAMED = 8


@click.command
@file_argument
@input_options
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
@click.option("--only", metavar="OUTPUT", multiple=True, help="Make only this output, and what it needs.")
@cache_option
@device_option
@json_option
def run(
    file: str,
    given: tuple[str, ...],
    inputs_file: str | None,
    folder: Path,
    only: tuple[str, ...],
    cache: str | None,
    device: str | None,
    as_json: bool,
) -> int:
    """Run a workflow and write its results.

    FILE is a workflow (JSON, or a PNG that sdgraph wrote), or - for standard input.
    """
    settings = read_settings(cache=cache, device=device)
    registry = Registry.installed()
    loaded = load(file, given, inputs_file, registry, settings)
    show_problems(loaded.warnings)
    with open_shelf(settings, registry) as shelf:
        before = shelf.journal.read(loaded.name) if shelf.journal else None
        plan = make_plan(loaded.graph, shelf.store, outputs=only or None, before=before)
        if delivers_files(plan):
            require_writable(folder)
        executor = _executor(plan, registry, shelf, settings)
        report = _execute(executor, plan)
        if shelf.journal:
            shelf.journal.write(loaded.name, records_of(plan, report, shelf.lasting))
        whole = self_contained(loaded.document, loaded.folder)
        texts = picture_texts(whole, loaded.inputs, loaded.graph, registry, __version__)
        delivered = deliver(plan, report, executor.payloads, folder, texts)
        status = _status(report, delivered)
        if status == "cancelled":
            err(_kept_text(report, shelf))
    show_problems(delivered.problems)
    err(_summary(report, status))
    if as_json:
        out_json(_as_json(report, delivered, status, loaded))
    else:
        _show(delivered)
    return _EXIT_CODES[status]


def _executor(plan: Plan, registry: Registry, shelf: Shelf, settings: Settings) -> Executor:
    will_compute = any(
        step.action in (Action.RUN, Action.MAYBE) and step.node.spec.cls.node_lane == "device"
        for step in plan.steps.values()
    )
    factories = dict(registry.services)
    factories[ModelPool] = lambda: ModelPool(
        settings.models_budget_bytes,
        text_device=settings.text_device and resolve_device(settings.text_device),
        attention=settings.attention,
    )
    return Executor(
        registry,
        shelf.store,
        # Finding the best device needs torch, which a run that computes nothing must not load.
        device=resolve_device(settings.device) if will_compute else "cpu",
        threads={"cpu": settings.cpu_threads} if settings.cpu_threads else None,
        services=Services(factories),
    )


def _execute(executor: Executor, plan: Plan) -> RunReport:
    token = CancelToken()
    with progress(plan) as listener, cancel_on_signals(token):
        return executor.run(plan, listeners=(listener,), cancel=token)


def _status(report: RunReport, delivered: Delivered) -> RunStatus:
    failed = any(problem.severity == "error" for problem in delivered.problems)
    if not failed or report.status in ("failed", "cancelled"):
        return report.status
    return "partial" if delivered.files or any(delivered.outputs.values()) else "failed"


def _as_json(report: RunReport, delivered: Delivered, status: RunStatus, loaded: Loaded) -> dict[str, Any]:
    problems = (*loaded.warnings, *report.problems, *delivered.problems)
    return {
        "run_id": report.run_id,
        "status": status,
        "outputs": dict(delivered.outputs),
        "nodes": {name: node.to_json() for name, node in report.nodes.items()},
        "elapsed_s": round(report.elapsed_s, 6),
        "peak_memory_bytes": peak_memory_bytes(),
        "problems": [problem.to_json() for problem in problems],
    }


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
