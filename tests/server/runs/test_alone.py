"""A database has one server at a time."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sdgraph.errors import SettingsError
from sdgraph.server.runs.alone import alone
from sdgraph.server.runs.database import open_database


def test_a_second_server_is_refused_until_the_first_has_ended(engine: Engine, database_url: str) -> None:
    other = open_database(database_url)
    with alone(engine):
        with pytest.raises(SettingsError) as refused, alone(other):
            pass
        assert refused.value.code == "database-in-use"
    with alone(other):
        pass
    other.dispose()
