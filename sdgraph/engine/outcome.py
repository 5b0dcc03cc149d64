"""From the jobs of a finished run to its report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sdgraph.engine.inputs import shared
from sdgraph.engine.jobs import JobState
from sdgraph.engine.plan import Action, Plan, Step
from sdgraph.engine.reason import CANCELLED, FAILED_BEFORE, NOT_NEEDED, Reason
from sdgraph.engine.report import NodeReport, RunReport, RunStatus
from sdgraph.engine.stores.base import Payloads
from sdgraph.errors import Problem


def make_report(
    plan: Plan,
    payloads: Payloads,
    *,
    run_id: str,
    cancelled: bool,
    elapsed_s: float,
    problems: Iterable[Problem],
    resources: Iterable[Mapping[str, Any]] = (),
) -> RunReport:
    """The report. Values in it are views of their own: whoever writes to one changes no stored result."""
    values = dict(plan.graph.constants)
    for name, ref in plan.targets.items():
        outputs = _outputs(plan.step_of[ref.node])
        if outputs is not None:
            values[name] = shared(outputs[ref.port], payloads)
    results: dict[str, Mapping[str, Any]] = {}
    for name in plan.delivering:
        outputs = _outputs(plan.step_of[name])
        if outputs is not None:
            results[name] = {port: shared(value, payloads) for port, value in outputs.items()}
    nodes = {name: _node_report(name, step, cancelled) for name, step in plan.step_of.items()}
    status, happened = _status(plan, cancelled), tuple(resources)
    return RunReport(run_id, status, values, nodes, elapsed_s, tuple(problems), results, happened)


def _outputs(step: Step) -> Mapping[str, Any] | None:
    return None if step.job is None else step.job.outputs


def _status(plan: Plan, cancelled: bool) -> RunStatus:
    targets = [step.job for step in plan.steps.values() if step.target]
    done = sum(job is not None and job.state is JobState.DONE for job in targets)
    if done == len(targets):
        return "done"
    if cancelled:
        return "cancelled"
    return "partial" if done or plan.graph.constants else "failed"


def _node_report(name: str, step: Step, cancelled: bool) -> NodeReport:
    key, job = step.key, step.job
    if job is not None:
        if job.state is JobState.FAILED:
            return NodeReport("failed", step.reason, key)
        if job.ran and step.node.id != name:
            return NodeReport("hit", Reason("same-as", f"the same as {step.node.id}"), key)
        if job.ran:
            return NodeReport("ran", step.reason, key, None, job.elapsed_s)
        if job.state is JobState.SKIPPED:
            return NodeReport("skipped", CANCELLED if cancelled else FAILED_BEFORE, key)
    if step.action in (Action.HIT, Action.COVERED):
        return NodeReport("hit", step.reason, key, step.tier)
    return NodeReport("skipped", NOT_NEEDED, key)
