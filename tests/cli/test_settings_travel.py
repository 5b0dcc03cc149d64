"""Settings reach a worker as environment variables, exactly as they are."""

from __future__ import annotations

from typing import Any

import pytest

from sdgraph.settings import read_settings


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"cache": "off", "device": "cuda:1", "debug": True},
        {"home": "/a folder/with spaces", "cache": "/results", "memory_budget_bytes": "1.5GiB", "cpu_threads": 3},
        {"pinned_models": "builtin:shapes, hf:org/name", "models_offload": False, "run_silence_s": 12.5},
        {"remote": "s3://bucket/folder", "traces": "http://localhost:4318/v1/traces", "log_format": "json"},
    ],
)
def test_a_process_with_the_environment_of_settings_has_the_same(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings(**given)
    for name, text in settings.environment().items():
        monkeypatch.setenv(name, text)
    assert read_settings() == settings
