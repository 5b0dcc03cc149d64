"""How a worker loads what a workflow needs, before its first run."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from sdgraph.cli.models import needs_of_plan
from sdgraph.cli.workshop import Workshop
from sdgraph.core.build import check_workflow
from sdgraph.core.context import running
from sdgraph.core.document import load_document
from sdgraph.engine.context import CancelToken, NodeContext
from sdgraph.engine.events import EventStream
from sdgraph.engine.plan import make_plan
from sdgraph.engine.stores.base import NullStore
from sdgraph.engine.worker.job import Warming
from sdgraph.errors import WorkflowError
from sdgraph.models.device import resolve_device
from sdgraph.models.memory.needs import Need
from sdgraph.models.pool import ModelPool
from sdgraph.models.warm import warm
from sdgraph.payloads.handles import DenoiserHandle, VaeHandle

_log = logging.getLogger("sdgraph.worker")


def warm_workflow(warming: Warming, workshop: Workshop, cancel: CancelToken) -> Mapping[str, Any]:
    """Load what a run of the workflow needs that finds nothing stored. Raises SdgraphError, RunCancelled."""
    max_nodes, started = workshop.settings.max_nodes, time.perf_counter()
    document = load_document(dict(warming.document), max_nodes=max_nodes)
    checked = check_workflow(document, workshop.registry, {}, folder=None, max_nodes=max_nodes)
    if checked.graph is None:
        raise WorkflowError(checked.errors)
    # Other inputs than the workflow's own make other results, so that its own are stored tells nothing.
    needs = needs_of_plan(make_plan(checked.graph, NullStore()))
    device, pool = resolve_device(workshop.settings.device), workshop.services.get(ModelPool)
    context = NodeContext("warm", device, workshop.services, cancel, EventStream("warm", ()))
    with running(context):
        report = warm(needs, pool, device)
        for handle in _preview_decoders(needs):
            with pool.lease(handle, device):
                pass
    took_s = time.perf_counter() - started
    _log.info("%s: %d models are warm after %.1f s", warming.name, sum(m.ready for m in report.models), took_s)
    return {**report.to_json(), "problems": [problem.to_json() for problem in report.problems]}


def _preview_decoders(needs: Iterable[Need]) -> set[VaeHandle]:
    """What shows pictures while they are made. A run does without, but the first one that is watched would load it."""
    handles = (handle for need in needs for handle in need.handles)
    return {handle.preview for handle in handles if isinstance(handle, DenoiserHandle) and handle.preview is not None}
