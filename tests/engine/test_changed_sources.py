"""What nodes read from outside: asked for as little as possible, and never stored under the key of what it was."""

from pathlib import Path
from typing import Any, ClassVar

import pytest

from sdgraph.core.context import RunContext
from sdgraph.core.node import Node
from sdgraph.core.pack import NodePack
from sdgraph.core.port import In, port
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.engine.executor import Executor
from sdgraph.engine.stores.memory import MemoryStore
from tests.engine.runs import in_memory
from tests.engine.toys import PACK, Bench, Count, NumberOut, ReadFile


def reading(path: Path) -> Workflow:
    workflow = Workflow("reading")
    number = workflow.add("read", ReadFile(name="read", path=str(path))).out.value
    workflow.output("out", workflow.add("after", Count(name="after", a=number)).out.value)
    return workflow


@pytest.mark.parametrize("when", ["before it is read", "while it is read"])
def test_a_file_that_is_replaced_after_planning_is_never_stored_as_the_one_before(tmp_path: Path, when: str) -> None:
    path, bench = tmp_path / "number.txt", in_memory()
    path.write_text("7")
    plan = bench.plan(reading(path))
    if when == "before it is read":
        path.write_text("8")
    else:
        bench.log.hooks["read"] = lambda ctx: path.write_text("8")
    report = bench.run(plan)
    assert report.status == "failed"
    (problem,) = report.errors
    assert (problem.code, problem.node) == ("source-changed", "read")
    assert "Run the workflow again" in (problem.hint or "")
    bench.log.hooks.clear()
    path.write_text("7")
    assert bench.run(reading(path)).outputs["out"] == 14
    assert bench.log.runs["after"] == 1


def test_a_file_that_was_replaced_is_computed_when_the_run_is_planned_again(tmp_path: Path) -> None:
    path, bench = tmp_path / "number.txt", in_memory()
    path.write_text("7")
    plan = bench.plan(reading(path))
    path.write_text("8")
    assert bench.run(plan).status == "failed"
    assert bench.run(reading(path)).outputs["out"] == 16


class Clock(Node[NumberOut], type="toy.clock"):
    """One that must run every time."""

    ticks: ClassVar[int] = 0

    def fingerprint(self) -> str:
        Clock.ticks += 1
        return str(Clock.ticks)

    def run(self, ctx: RunContext) -> NumberOut:
        return NumberOut(value=Clock.ticks)


class Asked(Node[NumberOut], type="toy.asked"):
    """A number, and how often it was asked for its fingerprint."""

    asked: ClassVar[int] = 0
    name: In[str] = port("", keyed=False)
    path: In[str] = port("", keyed=False, linkable=False)

    def fingerprint(self) -> str:
        Asked.asked += 1
        return f"content of {self.path}"

    def run(self, ctx: RunContext) -> NumberOut:
        return NumberOut(value=len(self.path))


@pytest.fixture
def bench() -> Bench:
    made = Bench(MemoryStore)
    made.registry = Registry([PACK, NodePack("outside", "1", (Clock, Asked))])
    made.executor = Executor(made.registry, made.store)
    return made


def test_nodes_that_must_run_every_time_do_so_each_for_itself(bench: Bench) -> None:
    workflow = Workflow("clocks")
    for place in range(4):
        workflow.output(f"o{place}", workflow.add(f"n{place}", Clock()).out.value)
    for _ in range(2):
        plan = bench.plan(workflow)
        assert len(plan.steps) == 4
        report = bench.run(plan)
        assert report.status == "done"
        assert {node.status for node in report.nodes.values()} == {"ran"}


@pytest.mark.parametrize("paths", [("a",), ("a", "b")])
def test_a_thousand_loaders_of_one_model_ask_for_its_content_no_more_than_twice(bench: Bench, paths: Any) -> None:
    workflow = Workflow("loaders")
    for place in range(1_000):
        node = Asked(name=f"n{place}", path=paths[place % len(paths)])
        workflow.output(f"o{place}", workflow.add(f"n{place}", node).out.value)
    Asked.asked = 0
    plan = bench.plan(workflow)
    assert len(plan.steps) == len(paths)
    assert Asked.asked == 2 * len(paths)
    assert len(plan.fingerprints) == 1_000
