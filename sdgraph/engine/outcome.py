"""From the jobs of a finished run to its report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sdgraph.engine.inputs import shared
from sdgraph.engine.jobs import Job, JobState
from sdgraph.engine.plan import Action, Plan, Step
from sdgraph.engine.report import NodeReport, RunReport, RunStatus
from sdgraph.engine.stores.base import Payloads
from sdgraph.errors import Problem


def make_report(
    plan: Plan,
    jobs: Mapping[Step, Job],
    payloads: Payloads,
    *,
    run_id: str,
    cancelled: bool,
    elapsed_s: float,
    problems: Iterable[Problem],
) -> RunReport:
    """The report. Values in it are views of their own: whoever writes to one changes no stored result."""
    results: dict[str, Mapping[str, Any]] = {}
    for name in plan.target_nodes:
        outputs = jobs[plan.step_of[name]].outputs
        if outputs is not None:
            views = {port: shared(value, payloads) for port, value in outputs.items()}
            alike = all(views[port] is value for port, value in outputs.items())
            results[name] = outputs if alike else views
    values = dict(plan.graph.constants)
    for name, ref in plan.targets.items():
        if ref.node in results:
            values[name] = results[ref.node][ref.port]
    nodes = {name: _node_report(name, step, jobs.get(step), cancelled) for name, step in plan.step_of.items()}
    status = _status(plan, jobs.values(), cancelled)
    return RunReport(run_id, status, values, nodes, elapsed_s, tuple(problems), results)


def _status(plan: Plan, jobs: Iterable[Job], cancelled: bool) -> RunStatus:
    states = [job.state for job in jobs if job.step.target]
    done = states.count(JobState.DONE)
    if done == len(states):
        return "done"
    if cancelled:
        return "cancelled"
    return "partial" if done or plan.graph.constants else "failed"


def _node_report(name: str, step: Step, job: Job | None, cancelled: bool) -> NodeReport:
    key = step.key.hex()
    if job is not None:
        if job.state is JobState.FAILED:
            return NodeReport("failed", step.reason.text, key)
        if job.ran and step.node.id != name:
            return NodeReport("hit", f"the same as {step.node.id}", key)
        if job.ran:
            return NodeReport("ran", step.reason.text, key, None, job.elapsed_s)
        if job.state is JobState.SKIPPED:
            why = "the run was cancelled" if cancelled else "something that it needs failed"
            return NodeReport("skipped", why, key)
    if step.action in (Action.HIT, Action.COVERED):
        return NodeReport("hit", step.reason.text, key, step.tier)
    return NodeReport("skipped", "not needed", key)
