"""Gradient checkpointing is for training: without gradients it changes nothing, with them only what is kept."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from sdgraph.models.pool import ModelPool
from tests.nodes.tiny_model import model


def unets(pool: ModelPool) -> tuple[Any, Any]:
    """Two equal networks, of which the second one checkpoints."""
    with pool.lease(model().denoiser) as unet:
        plain, thrifty = copy.deepcopy(unet).requires_grad_(True), copy.deepcopy(unet).requires_grad_(True)
    thrifty.enable_gradient_checkpointing()
    return plain.train(), thrifty.train()


def forward(unet: Any) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x, text = torch.randn(1, 4, 8, 8, generator=generator), torch.randn(1, 77, 32, generator=generator)
    return unet(x, torch.tensor([500]), text, return_dict=False)[0]


def activations(unet: Any) -> tuple[Tensor, int]:
    """A prediction, and how many tensors were kept for gradients of it."""
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    def give(tensor: Tensor) -> Tensor:
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, give):
        return forward(unet), len(kept)


def test_without_gradients_nothing_is_kept_with_and_without_it(pool: ModelPool) -> None:
    with torch.no_grad():
        (plain, kept), (thrifty, kept_thriftily) = (activations(unet) for unet in unets(pool))
    assert torch.equal(plain, thrifty)
    assert kept == kept_thriftily == 0


def test_with_gradients_less_is_kept_and_they_are_equal(pool: ModelPool) -> None:
    pair = unets(pool)
    (plain, kept), (thrifty, kept_thriftily) = (activations(unet) for unet in pair)
    assert kept_thriftily < kept / 2
    assert torch.equal(plain, thrifty)
    for unet in pair:
        forward(unet).square().mean().backward()
    for one, other in zip(*(unet.parameters() for unet in pair), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
