"""An empty disk store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sdgraph.engine.stores.disk import DiskStore
from tests.engine.disk import payloads


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskStore]:
    opened = DiskStore(tmp_path / "store", payloads())
    yield opened
    opened.close()
