"""The tiny synthetic model, made once per test session in a home of its own."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from sdgraph.models.checkpoint import Checkpoint, read_checkpoint
from sdgraph.models.pool import ModelPool
from sdgraph.models.source import resolve

TINY = "synthetic:sd15-tiny"


@pytest.fixture(scope="session")
def models_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def tiny_folder(models_home: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDGRAPH_HOME", str(models_home))
        return resolve(TINY)


@pytest.fixture(autouse=True)
def own_home(models_home: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDGRAPH_HOME", str(models_home))


@pytest.fixture
def tiny(own_home: None) -> Checkpoint:
    return read_checkpoint(TINY)


@pytest.fixture(scope="session")
def pool() -> Generator[ModelPool]:
    shared = ModelPool()
    yield shared
    shared.release()
