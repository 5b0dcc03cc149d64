"""`sdgraph plan` says before a run what the run will do, and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command, node


@pytest.fixture
def chain(write: Callable[..., Path]) -> Path:
    """Three numbers in a row."""
    nodes = {
        "one": node("toy.add"),
        "two": node("toy.add", {"a": "one.value"}, b=4),
        "three": node("toy.add", {"a": "two.value"}),
    }
    return write(nodes, inputs={"b": "two.b"}, outputs={"one": "one.value", "two": "two.value", "three": "three.value"})


def test_a_first_plan_runs_everything(sdgraph: Command, chain: Path) -> None:
    done = sdgraph("plan", chain)
    assert done.code == 0
    assert done.out.splitlines()[-1] == "3 of 3 nodes will run, 0 are hits"


def test_the_plan_says_which_value_changed_and_what_follows(sdgraph: Command, chain: Path) -> None:
    sdgraph("run", chain)
    lines = [line.split(maxsplit=2) for line in sdgraph("plan", chain, "-i", "b=5").out.splitlines()]
    assert lines[1:4] == [
        ["one", "hit", "disk   stored on disk"],
        ["two", "run", "b changed from 4 to 5"],
        ["three", "run", "two changed: b from 4 to 5"],
    ]
    assert " ".join(lines[-1]) == "2 of 3 nodes will run, 1 are hits"


def test_the_plan_and_the_run_agree(sdgraph: Command, chain: Path) -> None:
    sdgraph("run", chain)
    planned = sdgraph("plan", chain, "-i", "b=5", "--json").json
    ran = sdgraph("run", chain, "-i", "b=5", "--json").json
    words = {"run": "ran", "hit": "hit"}
    assert {name: (words[row["action"]], row["key"]) for name, row in planned["nodes"].items()} == {
        name: (report["status"], report["key"]) for name, report in ran["nodes"].items()
    }
    assert (planned["run"], planned["hit"]) == (2, 1)


def test_names_order_and_positions_change_nothing(sdgraph: Command, chain: Path, write: Callable[..., Path]) -> None:
    sdgraph("run", chain)
    nodes = {
        "c": node("toy.add", {"a": "b.value"}),
        "b": node("toy.add", {"a": "a.value"}, b=4),
        "a": node("toy.add"),
    }
    other = write(nodes, "other.json", outputs={"last": "c.value"}, view={"a": [3, 4]})
    assert sdgraph("plan", other).out.splitlines()[-1] == "0 of 3 nodes will run, 3 are hits"


def test_equal_nodes_are_planned_once(sdgraph: Command, write: Callable[..., Path]) -> None:
    path = write({"a": node("toy.add"), "b": node("toy.add")}, outputs={"a": "a.value", "b": "b.value"})
    planned = sdgraph("plan", path, "--json").json
    assert (planned["run"], planned["hit"]) == (1, 1)
    assert planned["nodes"]["b"]["reason"] == "the same as a"


def test_what_only_does_not_need_is_unused(sdgraph: Command, chain: Path) -> None:
    done = sdgraph("plan", chain, "--only", "one")
    assert done.out.splitlines()[-1] == "1 of 3 nodes will run, 0 are hits, 2 unused"
