"""`sdgraph plan`: what a run would do, and why, without doing it."""

from __future__ import annotations

from typing import Any

from sdgraph.cli.loading import Loaded
from sdgraph.cli.models import expect
from sdgraph.cli.stores import open_shelf
from sdgraph.cli.streams import out, out_json, show_problems, table
from sdgraph.cli.workflow_command import Asked, workflow_command
from sdgraph.engine.plan import Plan, make_plan
from sdgraph.engine.planview import plan_counts, plan_rows
from sdgraph.models.memory.predict import Prediction


@workflow_command("Plan only this output, and what it needs", on_device=False)
def plan(asked: Asked) -> int:
    """Show which nodes would run, which are hits, and the reason for each.

    FILE is a workflow (JSON, or a PNG that sdgraph wrote), or - for standard input.
    """
    loaded = asked.loaded
    with open_shelf(asked.settings, asked.registry) as shelf:
        before = shelf.journal.read(loaded.name) if shelf.journal else None
        made = make_plan(loaded.graph, shelf.store, outputs=asked.only, before=before)
    expected = expect(made, asked.settings)
    show_problems(expected.problems())
    if asked.as_json:
        out_json(_as_json(made, loaded, expected))
    else:
        rows = [(name, row["action"], row["store"] or "", row["reason"]) for name, row in plan_rows(made).items()]
        out(table(rows, ("node", "plan", "where", "reason")))
        out(_summary(made))
        if expected.node is not None:
            out(_memory(expected))
    return 0


def _summary(made: Plan) -> str:
    counts, total = plan_counts(plan_rows(made)), len(made.step_of)
    text = f"{counts['run']} of {total} nodes will run, {counts['hit']} are hits"
    more = [f"{counts[word]} {said}" for word, said in (("maybe", "may run"), ("unused", "unused")) if counts[word]]
    return ", ".join([text, *more])


def _memory(expected: Prediction) -> str:
    weights, peak = (size / 2**20 for size in (expected.weights_bytes, expected.peak_bytes))
    where = "the device" if expected.device == "auto" else expected.device
    text = f"memory: at most {peak:,.0f} MiB of {where}, {weights:,.0f} MiB of them weights"
    if not expected.unmeasured:
        return f"{text}; most at {expected.node}"
    return f"{text}; not measured yet: {', '.join(expected.unmeasured)}"


def _as_json(made: Plan, loaded: Loaded, expected: Prediction) -> dict[str, Any]:
    rows = plan_rows(made)
    return {
        "workflow": loaded.name,
        "nodes": rows,
        **plan_counts(rows),
        "memory": None if expected.node is None else expected.to_json(),
        "problems": [problem.to_json() for problem in (*loaded.warnings, *expected.problems())],
    }
