"""What a run shows while it goes on."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console
from sdgraph_nodes.pack import PACK as BUILTIN

from sdgraph.cli.bars import Bars
from sdgraph.cli.progress import Lines, progress
from sdgraph.core.build import build_graph
from sdgraph.core.document import load_document
from sdgraph.core.registry import Registry
from sdgraph.engine.events import EventStream
from sdgraph.engine.plan import Action, Plan, make_plan
from sdgraph.engine.reason import SHARED
from sdgraph.engine.stores.base import NullStore
from tests.cli.conftest import node
from tests.cli.pack import PACK


@pytest.fixture
def plan() -> Plan:
    nodes = {"a": node("toy.add"), "b": node("toy.add", {"a": "a.value"})}
    document: dict[str, Any] = {"schema": "sdgraph/workflow@1", "nodes": nodes, "outputs": {"b": "b.value"}}
    return make_plan(build_graph(load_document(document), Registry([BUILTIN, PACK])), NullStore())


def tell(listen: Callable[[Any], None]) -> None:
    """A run of two nodes, the second of which fails."""
    events = EventStream("run", (listen,))
    events.emit("run_started", nodes=2, to_run=2)
    events.emit("node_started", "a")
    events.emit("node_progress", "a", done=1, total=4, preview=None)
    events.emit("node_finished", "a", elapsed_s=1.5)
    events.emit("node_started", "b")
    problem = {"code": "toy-broken", "message": "It broke.", "node": "b", "severity": "error"}
    events.emit("node_failed", "b", problem=problem)
    events.emit("run_finished", status="failed", elapsed_s=2.0)


def test_bars_show_the_steps_of_nodes_and_leave_their_lines(plan: Plan) -> None:
    screen = io.StringIO()
    with Bars(plan, Console(file=screen, force_terminal=True, width=100)) as bars:
        tell(bars.listen)
    shown = screen.getvalue()
    assert "ran   a  1.50 s  (not computed before)" in shown
    assert "error: `b`: It broke. [toy-broken]" in shown
    assert "nodes" in shown


def test_a_bar_follows_the_progress_of_its_node(plan: Plan) -> None:
    bars = Bars(plan, Console(file=io.StringIO()))
    events = EventStream("run", (bars.listen,))
    events.emit("node_started", "a")
    events.emit("node_progress", "a", done=3, total=4, preview=None)
    whole, step = bars._progress.tasks
    assert (whole.completed, whole.total) == (0, 2)
    assert (step.description, step.completed, step.total) == ("a", 3, 4)
    events.emit("node_finished", "a", elapsed_s=1.0)
    assert [(task.description, task.completed) for task in bars._progress.tasks] == [("nodes", 1)]


def test_lines_say_the_same_without_a_terminal(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    with progress(plan) as listener:
        assert getattr(listener, "__func__", None) is Lines.listen
        tell(listener)
    assert capsys.readouterr().err.splitlines() == [
        "ran   a  1.50 s  (not computed before)",
        "error: `b`: It broke. [toy-broken]",
    ]


def test_a_node_that_another_process_computes_is_said_to_wait_and_counts_when_it_is_there(plan: Plan) -> None:
    screen = io.StringIO()
    with Bars(plan, Console(file=screen, force_terminal=True, width=100)) as bars:
        events = EventStream("run", (bars.listen,))
        events.emit("node_waiting", "b", reason="another run or process is computing it")
        plan.step_of["b"].action, plan.step_of["b"].reason = Action.HIT, SHARED
        events.emit("node_cached", "b", store="disk")
        assert bars._progress.tasks[0].completed == 1
    assert "wait  b  (another run or process is computing it)" in screen.getvalue()
    assert "hit   b  (computed elsewhere while this run waited)" in screen.getvalue()


def test_models_that_come_and_go_have_lines_and_their_loading_moves_the_bar(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = Bars(plan, Console(file=io.StringIO(), width=200))
    events = EventStream("run", (Lines(plan).listen, bars.listen))
    events.emit("node_started", "a")
    events.tell("model", "a", keep=False, what="loading", model="m/unet", done_bytes=3 << 20, total_bytes=4 << 20)
    [task] = [task for task in bars._progress.tasks if task.description == "a"]
    assert (task.completed, task.total) == (3, 4)
    events.tell("model", "a", what="loaded", model="m/unet", device="cpu", bytes=4 << 20, elapsed_s=0.5)
    events.tell("model", "a", what="freed", model="m/vae", device="cpu", bytes=1 << 20, elapsed_s=0.0)
    sizes = {"parameters": 3_000_000, "parameters_whole": 4_000_000}
    counts: dict[str, Any] = {**sizes, "flops": 250_000_000, "flops_whole": 10**9}
    events.tell("model", "a", what="pruned", model="m/unet", device="cpu", **counts)
    assert capsys.readouterr().err.splitlines() == [
        "model a  loaded m/unet (4.0 MiB, cpu, 0.50 s)",
        "model a  freed m/vae (1.0 MiB, cpu)",
        "model a  pruned m/unet (3.00 of 4.00 million parameters, 0.250 of 1.000 GFLOP per evaluation)",
    ]
