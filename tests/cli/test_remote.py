"""SDGRAPH_REMOTE: one machine's results are another one's hits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command, node


def test_another_machine_finds_what_the_first_one_stored(
    sdgraph: Command, write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDGRAPH_REMOTE", (tmp_path / "share").as_uri())
    path = write({"one": node("toy.fill")}, outputs={"one": "one.image"})
    assert sdgraph("run", path, "-o", "a").code == 0
    monkeypatch.setenv("SDGRAPH_HOME", str(tmp_path / "another"))
    assert sdgraph("plan", path, "--json").json["nodes"]["one"]["reason"] == "stored in the remote store"
    found = sdgraph("run", path, "-o", "b", "--json").json
    assert (found["nodes"]["one"]["status"], found["nodes"]["one"]["store"]) == ("hit", "remote")
    assert sdgraph("run", path, "-o", "b", "--json").json["nodes"]["one"]["store"] == "disk"
    assert Path("a/one.png").read_bytes() == Path("b/one.png").read_bytes()


def test_a_remote_that_is_away_is_a_warning(
    sdgraph: Command, write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SDGRAPH_REMOTE", (tmp_path / "file" / "share").as_uri())
    done = sdgraph("run", write({"one": node("toy.fill")}, outputs={"one": "one.image"}), "--json")
    assert done.code == 0
    assert done.json["nodes"]["one"]["status"] == "ran"
    assert "remote-away" in done.err
    assert "remote-behind" in done.err


def test_an_address_that_nothing_can_read_is_one_problem(
    sdgraph: Command, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDGRAPH_REMOTE", "nonsense://bucket")
    done = sdgraph("run", write({"one": node("toy.fill")}), "--json")
    assert done.code != 0
    assert "remote-unusable" in done.out + done.err
