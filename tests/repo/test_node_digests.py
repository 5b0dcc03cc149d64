"""Code that changed serves no old results: every change of a node's source has a new version, or was accepted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tools import node_digests

CODE = '''
"""A module."""

from sdgraph.core.context import RunContext
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port

FACTOR = 2


class NumberOut(Outputs):
    value: Out[int]


class Double(Node[NumberOut], type="digest.double", version=1):
    """Twice a number."""

    value: In[int] = port(1)
    """Which one."""

    def run(self, ctx: RunContext) -> NumberOut:
        return NumberOut(value=FACTOR * self.value)


class Other(Node[NumberOut], type="digest.other", version=1):
    """Another node."""

    def run(self, ctx: RunContext) -> NumberOut:
        return NumberOut(value=7)
'''


def digest(code: str, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    (folder / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    __import__(name)
    module: Any = sys.modules[name]
    return node_digests.digest_of(module.Double)


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("FACTOR * self", "FACTOR  *  self", False),
        ("Twice a number.", "Two times a number.", False),
        ("Which one.", "The number.", False),
        ("FACTOR = 2", "FACTOR = 2  # two", False),
        ("value=7", "value=8", False),  # another node's business
        ("FACTOR * self", "FACTOR + self", True),
        ("FACTOR = 2", "FACTOR = 3", True),
        ("port(1)", "port(2)", True),
    ],
)
def test_what_counts_as_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, counts: bool
) -> None:
    assert CODE.count(old) == 1
    before = digest(CODE, tmp_path, "digest_before", monkeypatch)
    after = digest(CODE.replace(old, new), tmp_path, "digest_after", monkeypatch)
    for name in ("digest_before", "digest_after"):
        del sys.modules[name]
    assert (before != after) is counts


def test_a_changed_node_a_new_one_and_one_that_is_gone_have_to_be_accepted() -> None:
    accepted = {
        "a": {"version": 1, "digest": "x"},
        "b": {"version": 1, "digest": "y"},
        "c": {"version": 1, "digest": ""},
    }
    found = {"a": {"version": 1, "digest": "z"}, "b": {"version": 2, "digest": "z"}, "d": {"version": 1, "digest": ""}}
    assert node_digests.complaints(accepted, found) == [
        "a changed: raise its version if it gives other results",
        "b has version 2, accepted was 1",
        "c is gone",
        "d is new",
    ]


def test_accepting_writes_the_table_that_is_then_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(node_digests, "TABLE", tmp_path / "table.json")
    node_digests.write_table(tmp_path / "table.json")
    accepted = node_digests.read_table(tmp_path / "table.json")
    assert node_digests.complaints(accepted, node_digests.present()) == []
    assert "image.resize" in accepted


def test_no_node_changed_without_a_new_version_or_being_accepted() -> None:
    said = node_digests.complaints(node_digests.read_table(), node_digests.present())
    assert said == [], "then `python -m tools.node_digests --accept`, and commit the table with the change"
