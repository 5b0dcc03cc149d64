"""Cache keys: recipes that know no ids, no order and no positions."""

from pathlib import Path
from typing import Any

import pytest

from sdgraph.core.build import build_graph
from sdgraph.core.pack import NodePack
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.engine.plan import make_plan
from sdgraph.engine.stores.base import NullStore
from sdgraph.errors import WorkflowError
from tests.engine.toys import PACK, Bench, Count, Half, ReadFile, Record, Repeat, Split


def keys(workflow: Workflow) -> dict[str, str]:
    bench = Bench(lambda payloads: NullStore())
    return {name: step.key.hex() for name, step in bench.plan(workflow).step_of.items()}


def one(node: Any) -> str:
    workflow = Workflow("one")
    placed = workflow.add("node", node)
    workflow.output("out", getattr(placed.out, type(node).outputs_class.__ports__[0]))
    return keys(workflow)["node"]


def test_the_key_of_a_known_node_never_changes() -> None:
    workflow = Workflow("golden")
    tape = workflow.add("tape", Record(level=0.5, count=3)).out.tape
    split = workflow.add("split", Split(value=12)).out
    workflow.output("sum", workflow.add("sum", Count(start=-1, a=split.low, b=split.high)).out.value)
    workflow.output("tape", tape)
    assert keys(workflow) == {
        "tape": "cb0eb79c01db9947f7ad98e1679a87c235faff6d0ab660d2f516ae24a2fe749e",
        "split": "c0a4e9b5e37ac568c050ed077b3b9b8a036382c915b33c04829e9b070a86354e",
        "sum": "6ce13eee05506706964ad540c2ac2dbc5fc40e5b1502e1cabac3839c6eead108",
    }


def test_a_key_depends_on_every_keyed_value_and_on_nothing_else() -> None:
    known = one(Count(start=1, a=2, b=3, name="x"))
    assert one(Count(start=1, a=2, b=3, name="y")) == known
    assert known not in {one(Count(start=9, a=2, b=3)), one(Count(start=1, a=9, b=3)), one(Count(start=1, a=2, b=9))}


def test_an_integer_given_to_a_float_port_is_that_float() -> None:
    assert one(Half(value=1)) == one(Half(value=1.0))
    assert one(Half(value=2)) != one(Half(value=1))


def test_swapped_inputs_and_other_outputs_of_the_same_node_have_other_keys() -> None:
    def joined(first: str, second: str) -> str:
        workflow = Workflow("split")
        split = workflow.add("split", Split(value=12)).out
        node = Count(a=getattr(split, first), b=getattr(split, second))
        workflow.output("out", workflow.add("sum", node).out.value)
        return keys(workflow)["sum"]

    assert len({joined("low", "high"), joined("high", "low"), joined("low", "low"), joined("high", "high")}) == 4


def test_another_version_of_a_node_has_another_key() -> None:
    class Newer(Count, type="toy.count", version=2):
        """The same type, changed."""

    def key(cls: type[Count]) -> bytes:
        registry = Registry([NodePack("versions", "1", (cls,), PACK.port_types)])
        workflow = Workflow("version")
        workflow.output("out", workflow.add("node", cls(start=1)).out.value)
        return make_plan(build_graph(workflow, registry), NullStore()).step_of["node"].key

    assert key(Count) != key(Newer)


def test_the_parts_of_a_macro_node_have_the_keys_of_the_same_nodes_written_by_hand() -> None:
    by_hand, by_macro = Workflow("hand"), Workflow("macro")
    value: Any = by_hand.add("start", Count(start=1)).out.value
    for step in range(2):
        value = by_hand.add(f"step{step}", Count(start=step, a=value)).out.value
    by_hand.output("out", value)
    start = by_macro.add("start", Count(start=1)).out.value
    by_macro.output("out", by_macro.add("repeat", Repeat(a=start, times=2)).out.value)
    assert set(keys(by_hand).values()) == set(keys(by_macro).values())


def test_a_file_counts_by_its_content_and_not_by_its_name(tmp_path: Path) -> None:
    for name, text in {"a": "1", "b": "1", "c": "2"}.items():
        (tmp_path / name).write_text(text)
    a, b, c = (one(ReadFile(path=str(tmp_path / name))) for name in "abc")
    assert a == b
    assert a != c


def test_a_missing_file_is_a_problem_of_its_node(tmp_path: Path) -> None:
    with pytest.raises(WorkflowError) as caught:
        one(ReadFile(path=str(tmp_path / "none")))
    (problem,) = caught.value.problems
    assert (problem.code, problem.node) == ("model-missing", "node")


def test_a_fingerprint_with_a_defect_is_a_problem_of_its_node_too() -> None:
    with pytest.raises(WorkflowError) as caught:
        one(ReadFile())
    (problem,) = caught.value.problems
    assert (problem.code, problem.node) == ("fingerprint-failed", "node")
    assert "no path" in problem.message


def test_all_missing_files_are_told_at_once_and_those_nobody_asked_for_not_at_all(tmp_path: Path) -> None:
    workflow = Workflow("files")
    for name in ("a", "b", "good"):
        (tmp_path / "good").write_text("5")
        read = workflow.add(name, ReadFile(path=str(tmp_path / name))).out.value
        workflow.output(f"{name}_out", workflow.add(f"{name}_count", Count(a=read)).out.value)
    bench = Bench(lambda payloads: NullStore())
    with pytest.raises(WorkflowError) as caught:
        bench.plan(workflow)
    assert [problem.node for problem in caught.value.problems] == ["a", "b"]
    report = bench.run(bench.plan(workflow, outputs=["good_out"]))
    assert report.outputs == {"good_out": 10}
