from __future__ import annotations

import pytest
from torch import nn

from sdgraph.models.checkpoint import Checkpoint
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.handles import ModelHandle
from sdgraph.settings import read_settings


def places(tiny: Checkpoint, text_device: str | None) -> list[str]:
    """Where a text encoder, a denoiser and an autoencoder are loaded when a run wants them on a device."""
    asked: list[str] = []

    def load(handle: ModelHandle, device: str) -> nn.Module:
        asked.append(device)
        return nn.Linear(1, 1)

    pool = ModelPool(load=load, text_device=text_device)
    for handle in (tiny.text_encoder, tiny.denoiser, tiny.vae):
        with pool.lease(handle, "cuda:0"):
            pass
    return asked


def test_text_encoders_run_where_everything_runs_unless_they_have_a_place_of_their_own(tiny: Checkpoint) -> None:
    assert places(tiny, None) == ["cuda:0"] * 3
    assert places(tiny, "cpu") == ["cpu", "cuda:0", "cuda:0"]


def test_the_place_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().text_device is None
    monkeypatch.setenv("SDGRAPH_TEXT_DEVICE", "cpu")
    assert read_settings().text_device == "cpu"
