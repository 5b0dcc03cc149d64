"""`sdgraph plan`: what a run would do, and why, without doing it."""

from __future__ import annotations

from typing import Any

import click

from sdgraph.cli.loading import Loaded, load
from sdgraph.cli.models import expect
from sdgraph.cli.options import cache_option, file_argument, input_options, json_option
from sdgraph.cli.stores import open_shelf
from sdgraph.cli.streams import out, out_json, show_problems, table
from sdgraph.core.registry import Registry
from sdgraph.engine.plan import Plan, make_plan
from sdgraph.engine.planview import plan_counts, plan_rows
from sdgraph.models.memory.predict import Prediction
from sdgraph.settings import read_settings


@click.command
@file_argument
@input_options
@click.option("--only", metavar="OUTPUT", multiple=True, help="Plan only this output, and what it needs.")
@cache_option
@json_option
def plan(
    file: str,
    given: tuple[str, ...],
    inputs_file: str | None,
    only: tuple[str, ...],
    cache: str | None,
    as_json: bool,
) -> int:
    """Show which nodes would run, which are hits, and the reason for each.

    FILE is a workflow (JSON, or a PNG that sdgraph wrote), or - for standard input.
    """
    settings = read_settings(cache=cache)
    registry = Registry.installed()
    loaded = load(file, given, inputs_file, registry, settings)
    show_problems(loaded.warnings)
    with open_shelf(settings, registry) as shelf:
        before = shelf.journal.read(loaded.name) if shelf.journal else None
        made = make_plan(loaded.graph, shelf.store, outputs=only or None, before=before)
    expected = expect(made, settings)
    show_problems(expected.problems())
    if as_json:
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
