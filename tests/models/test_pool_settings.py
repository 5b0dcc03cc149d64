"""The settings of the model pool."""

from __future__ import annotations

import pytest

from sdgraph.cli.models import make_pool, model_budgets
from sdgraph.models.checkpoint import Checkpoint
from sdgraph.settings import read_settings


def test_each_device_has_its_budget_and_the_processor_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert model_budgets(read_settings()) == {}
    monkeypatch.setenv("SDGRAPH_MODELS_BUDGET_BYTES", "8GB")
    assert model_budgets(read_settings()) == {"*": 8_000_000_000, "cpu": 8_000_000_000}
    monkeypatch.setenv("SDGRAPH_MODELS_CPU_BUDGET_BYTES", "0")
    assert model_budgets(read_settings()) == {"*": 8_000_000_000, "cpu": 0}


@pytest.mark.parametrize(
    ("setting", "value", "stays"),
    [("", "", True), ("FREE_IMMEDIATELY", "true", False), ("MODELS_CPU_BUDGET_BYTES", "1000", False)],
)
def test_models_wait_for_their_next_use_unless_a_setting_lets_them_go(
    setting: str, value: str, stays: bool, tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting:
        monkeypatch.setenv(f"SDGRAPH_{setting}", value)
    pool = make_pool(read_settings())
    with pool.lease(tiny.vae):
        pass
    assert pool.holds(tiny.vae) is stays


def test_pinned_models_are_named_by_their_references(tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDGRAPH_PINNED_MODELS", "builtin:shapes, synthetic:sd15-tiny")
    monkeypatch.setenv("SDGRAPH_MODELS_CPU_BUDGET_BYTES", "0")
    pool = make_pool(read_settings())
    with pool.lease(tiny.vae):
        pass
    assert [(resident.model, resident.pinned) for resident in pool.residents()] == [("synthetic:sd15-tiny/vae", True)]
