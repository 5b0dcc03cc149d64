"""The page of settings is made from the fields and is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdgraph.errors import SettingsError
from sdgraph.settings import Settings, debugging, read_settings, settings_page

_PAGE = Path(__file__).parents[2] / "docs" / "guide" / "settings.md"


def test_the_page_lists_every_setting_as_it_is() -> None:
    text = _PAGE.read_text("utf-8")
    assert text == settings_page(), "run `python -m sdgraph.settings > docs/guide/settings.md`"
    assert all(f"`SDGRAPH_{name.upper()}`" in text for name in Settings.model_fields)


def test_every_setting_has_a_description() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_settings_come_from_the_environment_and_options_go_before_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SDGRAPH_HOME", str(tmp_path))
    monkeypatch.setenv("SDGRAPH_MEMORY_BUDGET_BYTES", "500MB")
    monkeypatch.delenv("SDGRAPH_CACHE", raising=False)
    settings = read_settings()
    assert settings.memory_budget_bytes == 500_000_000
    assert settings.results_folder == tmp_path / "results"
    assert read_settings(cache=str(tmp_path / "other")).results_folder == tmp_path / "other"
    assert read_settings(cache="off").results_folder is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SDGRAPH_MEMORY_BUDGET_BYTES", "much"),
        ("SDGRAPH_DEVICE", "tpu"),
        ("SDGRAPH_CPU_THREADS", "0"),
        ("SDGRAPH_MAX_NODES", "many"),
    ],
)
def test_a_wrong_setting_names_the_variable_and_its_meaning(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"{name} can't be '{value}'.*\[setting-invalid\]"):
        read_settings()


def test_debugging_can_be_asked_for_when_another_setting_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDGRAPH_MAX_NODES", "many")
    monkeypatch.setenv("SDGRAPH_DEBUG", "1")
    assert debugging()
