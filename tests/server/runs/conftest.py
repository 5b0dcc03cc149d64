"""Each database that the server can use, empty."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from sqlalchemy import Engine, delete

from sdgraph.server.runs.database import open_database, sqlite_url
from sdgraph.server.runs.tables import RUNS
from tests.server.runs.postgres import postgres


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The URL of a database of each kind."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path_factory.mktemp("database") / "server.db")
    else:
        with postgres() as url:
            yield url


@pytest.fixture
def engine(database_url: str) -> Generator[Engine]:
    """A connected database without runs."""
    opened = open_database(database_url)
    with opened.begin() as connection:
        connection.execute(delete(RUNS))
    yield opened
    opened.dispose()
