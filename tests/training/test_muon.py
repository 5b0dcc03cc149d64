"""The optimiser: orthogonal updates for hidden matrices, AdamW for the ends, one state for both."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from training.shapes.muon import Optimizers, orthogonalised


@pytest.mark.parametrize("shape", [(3, 16, 40), (2, 40, 16), (1, 24, 24)])
def test_updates_are_nearly_orthogonal(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(matrices))
    assert values.min() > 0.3
    assert values.max() < 1.4


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 3, 1))


def fit(model: nn.Module, optimizers: Optimizers, steps: int) -> float:
    pictures = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    loss = torch.zeros(())
    for _ in range(steps):
        loss = (model(pictures) - pictures.flip(1)).square().mean()
        loss.backward()
        optimizers.step(3e-3)
    return float(loss.detach())


def test_every_weight_belongs_to_exactly_one_part() -> None:
    model = network()
    parts = Optimizers(model, 1e-3, ends=("0.", "3.")).parts
    owned = [weight for part in parts for group in part.param_groups for weight in group["params"]]
    assert {id(weight) for weight in owned} == {id(weight) for weight in model.parameters()}
    assert len(owned) == len(list(model.parameters()))
    assert [weight.shape for weight in parts[0].param_groups[0]["params"]] == [(8, 8, 3, 3)]


def test_training_lowers_the_loss() -> None:
    model = network()
    optimizers = Optimizers(model, 3e-3, ends=("0.", "3."))
    first = fit(model, optimizers, 1)
    assert fit(model, optimizers, 40) < 0.7 * first


def test_a_saved_optimiser_goes_on_as_if_it_had_never_stopped() -> None:
    model = network()
    optimizers = Optimizers(model, 3e-3, ends=("0.", "3."))
    fit(model, optimizers, 3)
    other = copy.deepcopy(model)
    resumed = Optimizers(other, 3e-3, ends=("0.", "3."))
    resumed.load_state_dict(copy.deepcopy(optimizers.state_dict()))
    assert fit(model, optimizers, 3) == fit(other, resumed, 3)
