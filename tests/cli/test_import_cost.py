"""What a command imports decides how fast it answers: torch never comes in unless a node needs it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import node

Process = Callable[..., "subprocess.Popen[bytes]"]
_HEAVY = ["torch", "diffusers", "transformers", "aiohttp", "rich", "cv2"]


@pytest.fixture
def imported(process: Process, monkeypatch: pytest.MonkeyPatch) -> Callable[..., set[str]]:
    """The top-level modules that a command imports."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")

    def modules(*arguments: str | Path) -> set[str]:
        running = process(*arguments)
        _, err = running.communicate()
        assert running.returncode == 0, err
        lines = [line for line in err.decode().splitlines() if line.startswith("import time:")]
        return {line.rsplit("|", 1)[1].strip().partition(".")[0] for line in lines}

    return modules


def test_help_imports_next_to_nothing(imported: Callable[..., set[str]]) -> None:
    assert imported("--help").isdisjoint([*_HEAVY, "numpy", "PIL", "pydantic", "sqlite3", "platformdirs"])


@pytest.mark.parametrize("command", ["check", "plan", "run"])
def test_commands_without_models_never_import_torch(
    imported: Callable[..., set[str]], write: Callable[..., Path], command: str
) -> None:
    path = write(
        {"fill": node("toy.fill"), "save": node("image.save", {"image": "fill.image"})}, outputs={"image": "fill.image"}
    )
    assert imported(command, path).isdisjoint(_HEAVY)
