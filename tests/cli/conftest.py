"""Runs the real command inside this process, with the toys as an installed pack and folders of its own."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sdgraph.cli.logs import JsonLines, TextLines
from sdgraph.cli.main import run_command

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def codes(self) -> list[str]:
        return [problem["code"] for problem in self.json["problems"]]


Command = Callable[..., Done]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a distribution whose pack is the toys."""
    folder = tmp_path_factory.mktemp("site")
    info = folder / "sdgraph_toys-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sdgraph-toys\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[sdgraph.packs]\ntoys = tests.cli.pack:PACK\n")
    return folder


@pytest.fixture(autouse=True)
def log_as_before() -> Generator[None]:
    """A test that sets up the log leaves no handler that writes to what was captured in it."""
    level = logging.root.level
    yield
    logging.root.setLevel(level)
    for handler in tuple(logging.root.handlers):
        if isinstance(handler.formatter, (JsonLines, TextLines)):
            logging.root.removeHandler(handler)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with a home of its own."""
    for name in [name for name in os.environ if name.startswith("SDGRAPH_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SDGRAPH_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(str(site))
    return folder


@pytest.fixture
def sdgraph(capsys: pytest.CaptureFixture[str]) -> Command:
    """`sdgraph("run", "w.json")` in this process."""

    def command(*arguments: str | Path) -> Done:
        capsys.readouterr()
        code = run_command([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return command


@pytest.fixture
def process(site: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """The same in a process of its own."""

    def start(*arguments: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(site), str(_ROOT)])
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, "-c", "from sdgraph.cli.main import main; main()", *map(str, arguments)]
        running: Any = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, **{**pipes, **options})
        return running

    return start


@pytest.fixture
def write(here: Path) -> Callable[..., Path]:
    """`write(nodes, outputs=...)` makes a workflow file."""

    def write_file(nodes: Mapping[str, Any], name: str = "w.json", **parts: Any) -> Path:
        path = here / name
        path.write_text(json.dumps({"schema": "sdgraph/workflow@1", "name": "w", "nodes": nodes, **parts}))
        return path

    return write_file


def node(type: str, links: Mapping[str, str] | None = None, /, **values: Any) -> dict[str, Any]:
    """A node as it stands in a file."""
    return {"type": type, "version": 1, "values": values, "links": dict(links or {})}
