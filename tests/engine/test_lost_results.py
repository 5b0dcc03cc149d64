"""Stores that lose, refuse or fail: they cost the caching and never a result."""

from sdgraph.core.workflow import Workflow
from sdgraph.engine.stores.base import Result
from sdgraph.engine.stores.memory import MemoryStore
from tests.engine.runs import diamond, in_memory
from tests.engine.toys import Bench, Whisper, chain


def test_a_result_that_was_evicted_after_planning_is_computed() -> None:
    bench = in_memory()
    bench.run(diamond())
    plan = bench.plan(diamond())
    assert isinstance(bench.store, MemoryStore)
    bench.store.clear()
    bench.log.runs.clear()
    report = bench.run(plan)
    assert report.status == "done"
    assert bench.log.runs == {"root": 1, "left": 1, "right": 1, "join": 1}
    assert report.nodes["join"].reason == "its stored result was gone or damaged"


def test_an_unreadable_hit_behind_a_node_that_failed_is_skipped() -> None:
    bench = in_memory()
    workflow = chain(3)
    bench.run(workflow)
    plan = bench.plan(workflow)
    assert isinstance(bench.store, MemoryStore)
    bench.store.clear()
    bench.log.broken.add("n0")
    report = bench.run(plan)
    assert report.status == "failed"
    assert {name: node.status for name, node in report.nodes.items()} == {
        "n0": "failed", "n1": "skipped", "n2": "skipped",
    }  # fmt: skip


class BadStore(MemoryStore):
    """A store with a defect."""

    def save(self, key: bytes, result: Result, *, keep: bool = False) -> None:
        raise OverflowError("no more shelves")


def test_a_store_with_a_defect_costs_the_caching_and_not_the_results() -> None:
    report = Bench(BadStore).run(diamond())
    assert report.status == "done"
    assert {problem.code for problem in report.problems} == {"result-not-stored"}
    assert not report.errors


def test_a_result_that_can_not_be_encoded_still_travels_in_memory() -> None:
    workflow = Workflow("secret")
    workflow.output("out", workflow.add("whisper", Whisper()).out.value)
    assert in_memory().run(workflow).outputs["out"].word == "psst"
