"""The database: made when missing, kept as it was, and refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from sdgraph.errors import SettingsError
from sdgraph.server.runs.database import open_database, reading, sqlite_url
from sdgraph.server.runs.tables import SCHEMA


def test_a_database_file_is_made_with_its_folder_and_lets_readers_go_on(tmp_path: Path) -> None:
    engine = open_database(sqlite_url(tmp_path / "a folder" / "server.db"))
    with engine.begin(), reading(engine) as beside:
        assert beside.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()
    open_database(sqlite_url(tmp_path / "a folder" / "server.db")).dispose()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://localhost/x", "sqlite+aiosqlite:///x"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        open_database(url)
    assert refused.value.code == "database-url"


def test_a_database_that_is_not_there_says_so_without_its_password() -> None:
    with pytest.raises(SettingsError) as refused:
        open_database("postgresql://user:secret@127.0.0.1:1/nothing")
    assert refused.value.code == "database-unusable"
    assert "secret" not in str(refused.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "server.db").write_text("this is no database, and long enough that it can't be taken for an empty one")
    with pytest.raises(SettingsError) as refused:
        open_database(sqlite_url(tmp_path / "server.db"))
    assert refused.value.code == "database-unusable"


def test_tables_of_a_later_version_are_left_alone(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "server.db")
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(update(SCHEMA).values(version=99))
    engine.dispose()
    with pytest.raises(SettingsError) as refused:
        open_database(url)
    assert refused.value.code == "database-newer"
