"""`sdgraph warm`: load what a workflow needs, and say whether a run would find it ready."""

from __future__ import annotations

from sdgraph.cli.failure import FAILED
from sdgraph.cli.models import needs_of_plan
from sdgraph.cli.progress import Lines
from sdgraph.cli.signals import cancel_on_signals
from sdgraph.cli.stores import open_shelf
from sdgraph.cli.streams import err, out, out_json, show_problems
from sdgraph.cli.workflow_command import Asked, workflow_command
from sdgraph.cli.workshop import Workshop
from sdgraph.core.context import running
from sdgraph.engine.context import CancelToken, NodeContext
from sdgraph.engine.events import EventStream
from sdgraph.engine.plan import Plan
from sdgraph.models.device import resolve_device
from sdgraph.models.pool import ModelPool
from sdgraph.models.warm import WarmReport
from sdgraph.models.warm import warm as warm_up
from sdgraph.settings import Settings


@workflow_command("Load only what this output needs")
def warm(asked: Asked) -> int:
    """Load the models of the nodes that a run would compute, compile them where `SDGRAPH_COMPILE` asks for it, and say
    whether all are ready.

    FILE is a workflow (JSON, or a PNG that sdgraph wrote), or - for standard input.
    """
    with open_shelf(asked.settings, asked.registry) as shelf:
        workshop = Workshop(asked.settings, asked.registry, shelf)
        report = warm_plan(workshop.plan(asked.loaded, asked.only), workshop, asked.settings)
    show_problems(report.problems)
    if asked.as_json:
        out_json({"workflow": asked.loaded.name, **report.to_json()})
    else:
        out(_summary(report))
    return 0 if report.ready else FAILED


def warm_plan(plan: Plan, workshop: Workshop, settings: Settings) -> WarmReport:
    """Load what a run of the plan needs into the workshop's pool; lines on stderr say what is loaded."""
    needs = needs_of_plan(plan)
    if not needs:
        return WarmReport(())
    device, token = resolve_device(settings.device), CancelToken()
    context = NodeContext("warm", device, workshop.services, token, EventStream("warm", (Lines(plan).listen,)))
    with running(context), cancel_on_signals(token):
        return warm_up(needs, workshop.services.get(ModelPool), device)


def _summary(report: WarmReport) -> str:
    for model in report.models:
        compiled = f", compiled {model.graphs} graphs in {model.compile_s:.2f} s" if model.compiled else ""
        err(f"{_word(model.ready)}  {model.model}  ({model.device}, {model.elapsed_s:.2f} s{compiled})")
    if not report.models:
        return "ready: a run needs no model"
    count = sum(model.ready for model in report.models)
    return f"{_word(report.ready)}: {count} of {len(report.models)} models"


def _word(ready: bool) -> str:
    return "ready" if ready else "not ready"
