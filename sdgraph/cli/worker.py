"""The worker process: `python -m sdgraph.cli.worker` runs workflows for whoever holds its standard streams.

Here the parts of a worker are put together: the loop of `sdgraph.engine.worker` may know neither settings nor models.
Nothing but frames goes to the channel: what nodes print is sent to standard error.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from sdgraph import __version__
from sdgraph.cli.loading import Loaded
from sdgraph.cli.logs import logged_as, set_up_logs
from sdgraph.cli.stores import open_shelf
from sdgraph.cli.viewing import ResultViewer
from sdgraph.cli.warm_worker import warm_workflow
from sdgraph.cli.workshop import Workshop, report_json
from sdgraph.core.build import check_workflow
from sdgraph.core.document import load_document
from sdgraph.core.registry import Registry
from sdgraph.engine.context import CancelToken
from sdgraph.engine.events import Listener, RunEvent
from sdgraph.engine.pictures import MEDIA_TYPES, PictureFolder
from sdgraph.engine.plan import Plan
from sdgraph.engine.worker.job import Job, Warming
from sdgraph.engine.worker.loop import Hands, WorkerLoop
from sdgraph.errors import Problem, WorkflowError
from sdgraph.models.pool import ModelPool
from sdgraph.models.vitals import vitals
from sdgraph.payloads.small_pictures import packed_preview
from sdgraph.settings import read_settings

_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""
_POLITENESS = 5
"""Added to the niceness, so that who drives the worker answers while nodes use every core."""
_HAS_RESULT = ("node_finished", "node_cached")


class WorkflowRunner:
    """Performs jobs in a workshop, and keeps the pictures that they make."""

    def __init__(self, workshop: Workshop, pictures: PictureFolder) -> None:
        self._workshop = workshop
        self._pictures = pictures

    def __call__(self, job: Job, listener: Listener, cancel: CancelToken) -> Mapping[str, Any]:
        """Raises WorkflowError for a workflow that can't run."""
        loaded = self._loaded(job)
        plan = self._workshop.plan(loaded, job.outputs)
        with logged_as(job.run_id):
            report = self._workshop.run(
                loaded, plan, listeners=(_with_details(plan, listener),), cancel=cancel, run_id=job.run_id
            )
        with self._pictures.incoming() as folder:
            delivered = self._workshop.deliver(loaded, plan, report, folder)
            kept = {str(path): self._kept(path) for path in delivered.files if path.suffix in MEDIA_TYPES}
        lost = [_not_kept(path) for path in delivered.files if str(path) not in kept]
        delivered = replace(delivered, problems=(*delivered.problems, *lost))
        outputs = {name: [_by_path(kept, value) for value in values] for name, values in delivered.outputs.items()}
        return {**report_json(loaded, report, delivered, outputs), "files": list(kept.values())}

    def _loaded(self, job: Job) -> Loaded:
        workshop = self._workshop
        max_nodes = workshop.settings.max_nodes
        document = load_document(dict(job.document), max_nodes=max_nodes)
        checked = check_workflow(document, workshop.registry, job.inputs, folder=None, max_nodes=max_nodes)
        if checked.graph is None:
            raise WorkflowError(checked.problems)
        return Loaded(document, job.inputs, checked.graph, None, document.name, checked.problems)

    def _kept(self, path: Path) -> dict[str, Any]:
        return {"name": path.name, **self._pictures.take(path).to_json()}


def main() -> None:
    """Serve the channel on the standard streams until told to stop, or until nobody holds them any more."""
    receive, send = _channel()
    _end_with_parent()
    if hasattr(os, "nice"):  # not on Windows
        os.nice(_POLITENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who drives the worker decides
    settings = read_settings()
    set_up_logs(settings)
    registry = Registry.installed()
    with open_shelf(settings, registry) as shelf:
        workshop = Workshop(settings, registry, shelf)
        runner = WorkflowRunner(workshop, PictureFolder(settings.pictures_folder))
        viewer = ResultViewer(workshop, PictureFolder(settings.previews_folder))

        def warm(warming: Warming, cancel: CancelToken) -> Mapping[str, Any]:
            return warm_workflow(warming, workshop, cancel)

        picture = packed_preview if workshop.screen is None else _withheld
        hands = Hands(runner, warm, picture, viewer, lambda: vitals(workshop.services.made(ModelPool)), _leave)
        WorkerLoop(receive, send, hands).serve({"pid": os.getpid(), "version": __version__})


def _channel() -> tuple[BinaryIO, BinaryIO]:
    """The standard streams for the loop alone; whoever prints from now on prints to standard error."""
    receive, send = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return receive, send


def _end_with_parent() -> None:
    """On Linux, be killed when the parent is; elsewhere the end of the channel tells."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def _leave() -> None:
    # Nodes can't be interrupted from here, and stored results are safe from a process that ends at any moment.
    os._exit(1)


def _withheld(_: Any) -> None:
    """No picture of a step: it is too unlike the finished one to be judged."""


def _with_details(plan: Plan, listener: Listener) -> Listener:
    """Tell the node's type with each event of a node, since metrics count by type and know no workflow; and with the
    last one the key of its result, by which it can be looked at."""

    def tell(event: RunEvent) -> None:
        node = plan.graph.nodes.get(event.node) if event.node is not None else None
        if node is None:
            listener(event)
            return
        more = {"node_type": node.spec.type}
        if event.type in _HAS_RESULT:
            more["key"] = plan.step_of[node.id].key.hex()
        listener(replace(event, data={**event.data, **more}))

    return tell


def _not_kept(path: Path) -> Problem:
    message = f"The file {path.name} is no picture, and only pictures are kept by a worker."
    return Problem("file-not-kept", message, "Run the workflow with `sdgraph run` to get it.", severity="warning")


def _by_path(kept: Mapping[str, Any], value: Any) -> Any:
    return kept[value] if isinstance(value, str) and value in kept else value


if __name__ == "__main__":
    main()
