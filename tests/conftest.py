"""Every test session keeps what sdgraph keeps in a folder of its own, never in the user's."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def session_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def own_home(session_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDGRAPH_HOME", str(session_home))


@pytest.fixture(autouse=True)
def ctrl_c_as_at_a_desk() -> None:
    """A shell makes what it starts in the background ignore Ctrl-C; tests that press it must not hang there."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
