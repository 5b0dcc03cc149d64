"""Prompts travel to the denoiser's device once, whatever the number of steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sdgraph.core.context import running
from sdgraph.models import network as networks
from sdgraph.models import transfers, transformer_network
from sdgraph.models.checkpoint import Checkpoint, read_checkpoint
from sdgraph.models.network import Network, open_network
from sdgraph.models.pool import ModelPool
from sdgraph.models.text import encode_prompt
from sdgraph.payloads.conditioning import Conditioning
from tests.toys import RecordingContext

GPU = torch.device("cuda:0")


class Away:
    """A model that says it is on a GPU, and computes here."""

    device = GPU

    def __init__(self, model: Any) -> None:
        self._model = model
        self.dtype = model.dtype
        self.config = model.config

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._model(*args, **kwargs)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What is sent to the GPU, which does not exist: everything stays here."""
    found: list[Tensor] = []

    def record(tensor: Tensor, device: Any, dtype: Any = None) -> Tensor:
        if device == GPU:
            found.append(tensor)
        return tensor.to(dtype=dtype)

    for module in (transfers, networks, transformer_network):
        monkeypatch.setattr(module, "send", record)
    return found


def prompts(pool: ModelPool, checkpoint: Checkpoint) -> tuple[Conditioning, Conditioning]:
    with pool.lease(checkpoint.text_encoder) as model:
        return encode_prompt("a red star", model), encode_prompt("", model)


def predict(network: Network, conditionings: tuple[Conditioning, ...], steps: int) -> Tensor:
    space = network._handle.space
    x = torch.ones(len(conditionings), space.channels, 8, 8)
    found = x
    for step in range(steps):
        found = network(x, torch.full((len(x),), 900.0 - step), conditionings)
    return found


def travels(sent: list[Tensor], conditionings: tuple[Conditioning, ...]) -> list[int]:
    """How often each prompt's embedding was sent."""
    embeddings = [conditioning.entries[0].embedding for conditioning in conditionings]
    return [sum(tensor is embedding for tensor in sent) for embedding in embeddings]


@pytest.mark.parametrize("family", ["sd15", "sdxl", "sd3", "flux"])
def test_each_prompt_is_sent_once_for_all_steps_and_changes_no_bit(
    family: str, pool: ModelPool, sent: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = read_checkpoint(f"synthetic:{family}-tiny")
    conditionings = prompts(pool, checkpoint)
    with open_network(pool, checkpoint.denoiser) as network:
        here = predict(network, conditionings, steps=1)
        assert network.transfers == 0
        assert sent == []
        network.module = Away(network.module)  # as if the lease had been on a GPU
        network._courier = transfers.Courier(GPU)
        context = RecordingContext()
        with running(context):
            there = predict(network, conditionings, steps=5)
        assert network.transfers == 2
    assert travels(sent, conditionings) == [1, 1]
    assert [entry["type"] for entry in context.told] == ["transfer", "transfer"]
    assert all(entry["bytes"] > 0 and entry["device"] == "cuda:0" for entry in context.told)
    with open_network(pool, checkpoint.denoiser) as network:
        assert torch.equal(there, predict(network, conditionings, steps=5))
        assert not torch.equal(there, here)


def test_prompts_that_are_there_already_are_not_sent(pool: ModelPool, tiny: Checkpoint) -> None:
    conditionings = prompts(pool, tiny)
    courier = transfers.Courier(torch.device("cpu"))
    assert courier.bring(conditionings)[0].entries[0] is conditionings[0].entries[0]
    assert courier.transfers == 0
