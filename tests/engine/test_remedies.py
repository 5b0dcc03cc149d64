"""Nodes that run out of something are tried again with one remedy more each time, and nothing of it is silent."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.recovery import Recovery, Remedy
from sdgraph.core.workflow import Workflow
from sdgraph.engine.events import RunEvent
from sdgraph.engine.report import RunReport
from sdgraph.errors import NodeError, SdgraphError
from tests.engine.runs import in_memory
from tests.engine.toys import Bench, Count


class Thirst(Exception):
    """What the toys run out of is water."""


class Wells:
    """A recovery with remedies of these names; those in `bitter` spoil the result."""

    def __init__(self, *names: str, bitter: str = "") -> None:
        self.names = names
        self.bitter = bitter
        self.open: list[str] = []

    def is_curable(self, error: Exception) -> bool:
        return isinstance(error, Thirst)

    def remedies(self, inputs: Mapping[str, Any], context: RunContext) -> Iterator[Remedy]:
        for name in self.names:
            yield Remedy(name, f"{name} was opened", lambda name=name: self._opened(name), name != self.bitter)

    def hopeless(self, said: str, tried: tuple[Remedy, ...], context: RunContext) -> SdgraphError:
        return NodeError("dry", f"{said}; tried: {', '.join(remedy.name for remedy in tried)}.")

    @contextmanager
    def _opened(self, name: str) -> Generator[None]:
        self.open.append(name)
        try:
            yield
        finally:
            self.open.remove(name)


def bench_with(wells: Wells) -> Bench:
    bench = in_memory()
    bench.executor.recovery = wells
    return bench


def chain() -> Workflow:
    """first -> second -> third."""
    workflow = Workflow("chain")
    value: Any = 1
    for place, name in enumerate(("first", "second", "third")):
        value = workflow.add(name, Count(name=name, start=place, a=value)).out.value
    workflow.output("out", value)
    return workflow


def thirsty(bench: Bench, wells: Wells, enough: set[str]) -> None:
    """Make `second` fail until the wells in `enough` are open."""

    def drink(ctx: RunContext) -> None:
        if not enough <= set(wells.open):
            raise Thirst("no water")

    bench.log.hooks["second"] = drink


def told(report: RunReport) -> list[str]:
    return [entry["name"] for entry in report.resources if entry["type"] == "remedy"]


def test_a_node_is_tried_again_with_one_remedy_more_each_time() -> None:
    wells = Wells("rain", "brook", "sea")
    bench = bench_with(wells)
    thirsty(bench, wells, {"rain", "brook"})
    heard: list[RunEvent] = []
    report = bench.run(chain(), listeners=(heard.append,))
    assert report.status == "done"
    assert bench.log.runs == {"first": 1, "second": 3, "third": 1}
    assert told(report) == ["rain", "brook"]
    events = [event.to_json() for event in heard if event.type == "remedy"]
    assert [(event["node"], event["text"], event["error"]) for event in events] == [
        ("second", "rain was opened", "Thirst: no water"),
        ("second", "brook was opened", "Thirst: no water"),
    ]
    assert wells.open == []
    assert report.problems == ()


def test_a_result_is_the_same_and_stored_as_without_the_remedy() -> None:
    wells = Wells("rain")
    bench, plain = bench_with(wells), in_memory()
    thirsty(bench, wells, {"rain"})
    assert bench.run(chain()).outputs == plain.run(chain()).outputs
    assert bench.run(chain()).count("hit") == 3


def test_a_result_that_a_remedy_spoils_is_handed_on_but_never_stored() -> None:
    wells = Wells("rain", "sea", bitter="sea")
    bench = bench_with(wells)
    thirsty(bench, wells, {"sea"})
    first = bench.run(chain())
    assert first.status == "done"
    assert [(problem.code, problem.node, problem.severity) for problem in first.problems] == [
        ("result-not-exact", "second", "warning")
    ]
    again = bench.run(chain())
    assert [again.nodes[name].status for name in ("first", "second", "third")] == ["hit", "ran", "ran"]


def test_when_no_remedy_is_left_the_node_fails_with_what_was_tried() -> None:
    wells = Wells("rain", "brook")
    bench = bench_with(wells)
    thirsty(bench, wells, {"a wonder"})
    report = bench.run(chain())
    assert report.status == "failed"
    assert [(problem.code, problem.message) for problem in report.errors] == [
        ("dry", "Thirst: no water; tried: rain, brook.")
    ]
    assert bench.log.runs["second"] == 3
    assert wells.open == []


def test_other_errors_are_not_tried_again() -> None:
    bench = bench_with(Wells("rain"))
    bench.log.broken.add("second")
    report = bench.run(chain())
    assert [problem.code for problem in report.errors] == ["node-failed"]
    assert bench.log.runs["second"] == 1
    assert told(report) == []


def test_an_error_of_another_kind_on_a_later_try_ends_the_tries() -> None:
    wells = Wells("rain", "brook")
    bench = bench_with(wells)

    def fail(ctx: RunContext) -> None:
        raise LookupError("lost") if wells.open else Thirst

    bench.log.hooks["second"] = fail
    report = bench.run(chain())
    assert "LookupError: lost" in report.errors[0].message
    assert told(report) == ["rain"]


def test_a_failed_try_holds_nothing_while_its_remedy_is_taken() -> None:
    class Water:
        """What a try works with."""

    alive: list[weakref.ref[Water]] = []
    seen: list[bool] = []

    class Looking(Wells):
        @contextmanager
        def _opened(self, name: str) -> Generator[None]:
            gc.collect()
            seen.extend(found() is not None for found in alive)
            with super()._opened(name):
                yield

    wells = Looking("rain")
    bench = bench_with(wells)

    def drink(ctx: RunContext) -> None:
        water = Water()
        alive.append(weakref.ref(water))
        if not wells.open:
            raise Thirst(str(water))

    bench.log.hooks["second"] = drink
    assert bench.run(chain()).status == "done"
    assert seen == [False]


def test_without_a_recovery_the_error_stays_what_it_was() -> None:
    bench = in_memory()
    assert bench.executor.services.find(Recovery) is None
    thirsty(bench, Wells(), {"a wonder"})
    report = bench.run(chain())
    assert "Thirst: no water" in report.errors[0].message
