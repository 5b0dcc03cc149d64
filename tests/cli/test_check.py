"""`sdgraph check` lists problems, and `--fix` writes the canonical form."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command, node

Write = Callable[..., Path]


def test_a_good_workflow_is_ok(sdgraph: Command, write: Write) -> None:
    path = write({"n": node("toy.add")}, outputs={"sum": "n.value"})
    done = sdgraph("check", path)
    assert (done.code, done.out) == (0, f"{path}: ok\n")


def test_several_files_are_checked_and_one_bad_one_is_enough(sdgraph: Command, write: Write) -> None:
    good = write({"n": node("toy.add")}, outputs={"sum": "n.value"})
    bad = write({"n": node("toy.ad")}, "bad.json")
    done = sdgraph("check", good, bad, "gone.json")
    assert done.code == 2
    assert done.out.splitlines()[0] == f"{good}: ok"
    assert done.out.splitlines()[1] == f"{bad}: 1 problem"
    assert "[workflow-unreadable]" in done.out


def test_json_has_each_file_with_its_problems(sdgraph: Command, write: Write) -> None:
    write({"n": node("toy.add", a=-1)})
    found = sdgraph("check", "w.json", "--json").json["files"]["w.json"]
    assert (found["ok"], found["fixed"]) == (False, False)
    assert [(problem["code"], problem["node"], problem["port"]) for problem in found["problems"]] == [
        ("value-out-of-range", "n", "a")
    ]


def test_a_warning_is_shown_and_is_no_failure(sdgraph: Command, write: Write) -> None:
    done = sdgraph("check", write({}))
    assert done.code == 0
    assert "w.json: ok, 1 warning\n  warning: " in done.out
    assert "[nothing-to-run]" in done.out


def test_models_and_pictures_are_looked_for(sdgraph: Command, write: Write) -> None:
    nodes = {
        "a": node("sd.load_checkpoint", source="builtin:nothing"),
        "b": node("image.load", file="gone.png"),
        "save": node("image.save", {"image": "b.image"}),
        "encode": node("sd.encode_text", {"text_encoder": "a.text_encoder"}),
    }
    done = sdgraph("check", write(nodes, outputs={"text": "encode.conditioning"}))
    assert done.code == 2
    assert "[model-missing]" in done.out
    assert "[image-missing]" in done.out


def test_fix_writes_the_canonical_form_once(sdgraph: Command, write: Write) -> None:
    path = write({"n": node("toy.add", a=1, b=5), "other": node("their.node", x=1)})
    done = sdgraph("check", path, "--fix")
    assert done.code == 2, "the unknown node is still a problem"
    fixed = path.read_text("utf-8")
    assert json.loads(fixed)["nodes"] == {
        "n": {"type": "toy.add", "version": 1, "values": {"b": 5}},
        "other": {"type": "their.node", "version": 1, "values": {"x": 1}},
    }
    assert sdgraph("check", path, "--fix", "--json").json["files"][str(path)]["fixed"] is False
    assert path.read_text("utf-8") == fixed


def test_fix_from_standard_input_prints_the_canonical_form(
    sdgraph: Command, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = write({"n": node("toy.add", a=1)}).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert sdgraph("check", "-", "--fix").json["nodes"] == {"n": {"type": "toy.add", "version": 1}}


def test_a_picture_is_checked_but_not_fixed(sdgraph: Command, write: Write) -> None:
    sdgraph("run", write({"fill": node("toy.fill")}, outputs={"image": "fill.image"}))
    before = Path("output/image.png").read_bytes()
    assert sdgraph("check", "output/image.png").code == 0
    done = sdgraph("check", "output/image.png", "--fix")
    assert (done.code, "[picture-not-fixable]" in done.out) == (2, True)
    assert Path("output/image.png").read_bytes() == before
