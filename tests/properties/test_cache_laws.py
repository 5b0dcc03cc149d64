"""The laws of the cache, on random graphs: it may only change how long something takes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdgraph.core.node import Node
from sdgraph.core.port import Link
from sdgraph.core.workflow import Workflow
from sdgraph.engine.context import CancelToken
from sdgraph.engine.plan import Action
from sdgraph.engine.report import RunReport
from sdgraph.engine.stores.base import NullStore, Payloads, Result
from sdgraph.engine.stores.memory import MemoryStore
from tests.engine.toys import Bench, Coarse, Count, DeviceCount, Handle, Switch

law = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Part:
    """One node of a random graph: its kind, its value, and the earlier parts that feed it (a, b, a switch's choice)."""

    kind: str
    value: int
    sources: tuple[int | None, int | None, int | None]


KINDS = {"count": Count, "device": DeviceCount, "handle": Handle, "coarse": Coarse}


@st.composite
def graphs(
    draw: st.DrawFn, kinds: tuple[str, ...] = ("count", "device", "handle", "switch", "coarse")
) -> tuple[Part, ...]:
    parts: list[Part] = []
    for place in range(draw(st.integers(1, 9))):
        earlier = st.none() | st.integers(0, place - 1) if place else st.none()
        kind = draw(st.sampled_from(kinds))
        choice = draw(earlier) if kind == "switch" else None
        parts.append(Part(kind, draw(st.integers(0, 3)), (draw(earlier), draw(earlier), choice)))
    return tuple(parts)


def distinct(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The same graph without two nodes that could have equal keys."""
    return tuple(replace(part, value=part.value + 10 * place) for place, part in enumerate(parts))


def link_to(name: str) -> Any:
    return Link(name, "value")


def node_of(part: Part, name: str, names: list[str]) -> Node[Any]:
    a, b, c = (None if source is None else link_to(names[source]) for source in part.sources)
    if part.kind == "switch":
        given = {port: link for port, link in (("choice", c), ("a", a), ("b", b)) if link is not None}
        return Switch(name=name, **{"choice": part.value, "a": part.value, "b": part.value + 1, **given})
    given = {port: link for port, link in (("a", a), ("b", b)) if link is not None}
    return KINDS[part.kind](name=name, start=part.value, **given)


def workflow_of(
    parts: tuple[Part, ...],
    *,
    prefix: str = "n",
    order: Iterable[int] | None = None,
    outputs: Iterable[int] | None = None,
    into: Workflow | None = None,
) -> Workflow:
    workflow = into or Workflow("random")
    names = [f"{prefix}{place}" for place in range(len(parts))]
    for place in order if order is not None else range(len(parts)):
        workflow.add(names[place], node_of(parts[place], names[place], names))
    for place in outputs if outputs is not None else range(len(parts)):
        workflow.output(names[place], link_to(names[place]))
    return workflow


class LeakyStore(MemoryStore):
    """A memory store that can lose results at any time."""

    def __init__(self, payloads: Payloads) -> None:
        super().__init__(payloads)
        self.lost: set[bytes] = set()

    def find(self, key: bytes) -> str | None:
        return None if key in self.lost else super().find(key)

    def load(self, key: bytes) -> Result | None:
        return None if key in self.lost else super().load(key)


def uncached(workflow: Workflow) -> RunReport:
    return Bench(lambda payloads: NullStore()).run(workflow)


def read_by(part: Part, values: Mapping[str, Any] | None) -> set[int | None]:
    """What a part depends on. A choice that is known, from a run's `values` or before, leaves a switch one branch."""
    a, b, choice = part.sources
    if part.kind != "switch" or (choice is not None and values is None):
        return {a, b, choice}
    known = part.value if choice is None or values is None else values[f"n{choice}"]
    return {choice, a if known % 2 == 0 else b}


def depending_on(parts: tuple[Part, ...], changed: int, values: Mapping[str, Any] | None = None) -> set[str]:
    found: set[int | None] = {changed}
    for place, part in enumerate(parts):
        if found & (read_by(part, values) - {None}):
            found.add(place)
    return {f"n{place}" for place in found}


@law
@given(graphs(), st.data())
def test_a_cached_run_equals_an_uncached_one(parts: tuple[Part, ...], data: st.DataObject) -> None:
    bench = Bench(LeakyStore)
    assert isinstance(bench.store, LeakyStore)
    for _ in range(data.draw(st.integers(1, 3))):  # edits, runs of parts of it, losses before and after planning
        place = data.draw(st.integers(0, len(parts) - 1))
        parts = (*parts[:place], replace(parts[place], value=data.draw(st.integers(0, 3))), *parts[place + 1 :])
        outputs = data.draw(st.sets(st.integers(0, len(parts) - 1), min_size=1))
        keys = sorted({step.key for step in bench.plan(workflow_of(parts)).steps.values()})
        bench.store.lost = data.draw(st.sets(st.sampled_from(keys)))
        plan = bench.plan(workflow_of(parts, outputs=outputs))
        bench.store.lost = bench.store.lost | data.draw(st.sets(st.sampled_from(keys)))
        report = bench.run(plan)
        assert report.status == "done"
        assert report.outputs == uncached(workflow_of(parts, outputs=outputs)).outputs


@law
@given(graphs(("count", "device", "switch")), st.data())
def test_changing_a_node_reruns_exactly_it_and_what_depends_on_it(parts: tuple[Part, ...], data: st.DataObject) -> None:
    parts, bench = distinct(parts), Bench(MemoryStore)
    bench.run(workflow_of(parts))
    bench.log.runs.clear()
    place = data.draw(st.integers(0, len(parts) - 1))
    edited = (*parts[:place], replace(parts[place], value=parts[place].value + 1_000), *parts[place + 1 :])
    bench.run(workflow_of(edited))
    fed_by_links_alone = parts[place].kind == "switch" and None not in parts[place].sources  # it has no value to change
    expected = set[str]() if fed_by_links_alone else depending_on(parts, place)
    assert bench.log.runs == Counter(dict.fromkeys(expected, 1))


@law
@given(graphs(("count", "device", "coarse")), st.data())
def test_an_edit_reruns_what_reads_a_changed_key_or_after_a_cut_off_a_changed_value(
    parts: tuple[Part, ...], data: st.DataObject
) -> None:
    parts, bench = distinct(parts), Bench(MemoryStore)
    before = bench.run(workflow_of(parts)).outputs
    bench.log.runs.clear()
    place = data.draw(st.integers(0, len(parts) - 1))
    more = data.draw(st.sampled_from((1, 5, 100)))
    parts = (*parts[:place], replace(parts[place], value=parts[place].value + more), *parts[place + 1 :])
    report = bench.run(workflow_of(parts))
    assert report.outputs == uncached(workflow_of(parts)).outputs
    rerun: set[int] = {place}
    for reader, part in enumerate(parts):
        for source in set(part.sources) - {None}:
            assert source is not None
            same = parts[source].kind == "coarse" and report.outputs[f"n{source}"] == before[f"n{source}"]
            if source in rerun and not same:
                rerun.add(reader)
    assert bench.log.runs == Counter({f"n{place}": 1 for place in rerun})


@law
@given(graphs(), st.randoms(use_true_random=False))
def test_renaming_reordering_and_moving_change_no_key_and_run_nothing(parts: tuple[Part, ...], random: Any) -> None:
    bench = Bench(MemoryStore)
    first = bench.plan(workflow_of(parts))
    bench.run(first)
    before = {name: step.key for name, step in first.step_of.items()}
    bench.log.runs.clear()
    order = list(range(len(parts)))
    random.shuffle(order)
    moved = workflow_of(parts, prefix="renamed", order=order)
    moved.view = {f"renamed{place}": [place, random.randrange(1000)] for place in order}
    plan = bench.plan(moved)
    assert {name.replace("renamed", "n"): step.key for name, step in plan.step_of.items()} == before
    stored = {part.kind != "handle" for part in parts}
    bench.run(plan)
    if stored == {True}:
        assert not bench.log.runs


@law
@given(graphs(("count", "device", "switch")))
def test_equal_subgraphs_run_once(parts: tuple[Part, ...]) -> None:
    single, double = Bench(MemoryStore), Bench(MemoryStore)
    expected = single.run(workflow_of(parts))
    twice = workflow_of(parts)
    workflow_of(parts, prefix="copy", into=twice)
    report = double.run(twice)
    assert double.log.runs.total() == single.log.runs.total()
    for name, value in expected.outputs.items():
        assert report.outputs[name] == report.outputs[name.replace("n", "copy")] == value


@law
@given(graphs(("count", "device", "switch")), st.data(), st.booleans())
def test_what_failed_or_was_cancelled_leaves_no_entry_and_a_rerun_starts_from_the_rest(
    parts: tuple[Part, ...], data: st.DataObject, cancelled: bool
) -> None:
    parts, bench, cancel = distinct(parts), Bench(MemoryStore), CancelToken()
    culprit = f"n{data.draw(st.integers(0, len(parts) - 1))}"

    def stop(ctx: Any) -> None:
        cancel.cancel()
        ctx.check_cancelled()

    if cancelled:
        bench.log.hooks[culprit] = stop
    else:
        bench.log.broken.add(culprit)
    plan = bench.plan(workflow_of(parts))
    report = bench.run(plan, cancel=cancel)
    assert report.nodes[culprit].status == ("skipped" if cancelled else "failed")
    for name, node in report.nodes.items():
        assert (bench.store.find(plan.step_of[name].key) is not None) == (node.status in ("ran", "hit"))
    if not cancelled:
        stopped = {name for name, node in report.nodes.items() if node.status in ("failed", "skipped")}
        assert stopped == depending_on(parts, int(culprit[1:]), uncached(workflow_of(parts)).outputs)
    done = {name for name, node in report.nodes.items() if node.status == "ran"}
    bench.log.broken.clear()
    bench.log.hooks.clear()
    bench.log.runs.clear()
    again = bench.run(workflow_of(parts))
    assert again.outputs == uncached(workflow_of(parts)).outputs
    assert set(bench.log.runs) == {f"n{place}" for place in range(len(parts))} - done


@law
@given(graphs(), st.data())
def test_the_plan_says_what_the_run_does(parts: tuple[Part, ...], data: st.DataObject) -> None:
    bench = Bench(LeakyStore)
    assert isinstance(bench.store, LeakyStore)
    bench.run(workflow_of(parts, outputs=data.draw(st.sets(st.integers(0, len(parts) - 1), min_size=1))))
    keys = sorted({step.key for step in bench.plan(workflow_of(parts)).steps.values()})
    bench.store.lost = data.draw(st.sets(st.sampled_from(keys)))
    bench.log.runs.clear()
    outputs = data.draw(st.sets(st.integers(0, len(parts) - 1), min_size=1))
    plan = bench.plan(workflow_of(parts, outputs=outputs))
    planned = {name: (plan.step_of[name].action, plan.reason(name).text) for name in plan.step_of}
    report = bench.run(plan)
    allowed = {
        Action.RUN: {"ran", "hit"},  # a hit where another node has the same step
        Action.HIT: {"hit"},
        Action.COVERED: {"hit"},
        Action.MAYBE: {"ran", "hit", "skipped"},
        Action.UNUSED: {"skipped"},
    }
    for name, (action, reason) in planned.items():
        assert report.nodes[name].status in allowed[action]
        if action is not Action.MAYBE and report.nodes[name].status != "skipped":
            assert report.nodes[name].reason == reason
    ran = {name for name, node in report.nodes.items() if node.status == "ran"}
    assert set(bench.log.runs) == ran
    sure = {step.node.id for step in plan.steps.values() if planned[step.node.id][0] is Action.RUN}
    assert sure <= ran
