"""The setting for attention changes what really runs, hardly the result, and never fails silently."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, get_args

import pytest
import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor

from sdgraph.diffusion.perturbation import Perturbation
from sdgraph.models.attention import perturbed
from sdgraph.models.attention_backend import (
    AttentionBackend,
    choose_attention,
    processors,
    sdpa_kernel,
    set_attention,
)
from sdgraph.models.checkpoint import Checkpoint, read_checkpoint
from sdgraph.models.load import load_model
from sdgraph.models.pool import ModelPool
from sdgraph.settings import Settings

CLASSES: dict[AttentionBackend, str] = {
    "auto": "AttnProcessor2_0",
    "sdpa": "AttnProcessor2_0",
    "math": "AttnProcessor",
    "sliced": "SlicedAttnProcessor",
}


def predict(unet: Any) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x, text = torch.randn(2, 4, 8, 8, generator=generator), torch.randn(2, 7, 32, generator=generator)
    with torch.no_grad():
        return unet(x, torch.tensor([400.0, 400.0]), text).sample


@pytest.mark.parametrize("backend", CLASSES)
def test_a_backend_changes_the_processors_and_the_result_by_a_millionth_at_most(
    tiny: Checkpoint, pool: ModelPool, backend: AttentionBackend
) -> None:
    with pool.lease(tiny.denoiser) as unet:
        expected = predict(unet)
    with ModelPool(attention=backend).lease(tiny.denoiser) as unet:
        assert set(processors(unet)) == {CLASSES[backend]}
        assert sum(processors(unet).values()) == 8
        found = predict(unet)
    assert float((found - expected).abs().max()) <= 1e-6
    assert torch.equal(found, expected) == (backend in ("auto", "sdpa"))


@pytest.mark.parametrize("backend", CLASSES)
def test_perturbed_attention_is_the_same_with_every_backend(
    tiny: Checkpoint, pool: ModelPool, backend: AttentionBackend
) -> None:
    for kind in ("identity", "blur", "skip"):
        results: list[Tensor] = []
        for weights in (pool, ModelPool(attention=backend)):
            with weights.lease(tiny.denoiser) as unet, perturbed(unet, Perturbation(kind)):
                results.append(predict(unet))
        assert float((results[0] - results[1]).abs().max()) <= 1e-6


def test_sliced_attention_never_holds_the_scores_of_more_than_one_head(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores: dict[AttentionBackend, list[int]] = {"math": [], "sliced": []}
    usual = Attention.get_attention_scores
    for backend, sizes in scores.items():

        def look(layer: Attention, *given: Any, sizes: list[int] = sizes) -> Tensor:
            found = usual(layer, *given)
            sizes.append(found.numel())
            return found

        monkeypatch.setattr(Attention, "get_attention_scores", look)
        with ModelPool(attention=backend).lease(tiny.denoiser) as unet:
            predict(unet)
    heads_of_both_pictures = 2 * 4
    assert max(scores["sliced"]) * heads_of_both_pictures == max(scores["math"])
    assert sum(scores["sliced"]) == sum(scores["math"])


def test_xformers_falls_back_with_a_reason_where_it_is_not_installed(tiny: Checkpoint) -> None:
    unet: Any = load_model(tiny.denoiser)
    choice = set_attention(unet, "xformers", "cuda:0")
    assert (choice.used, choice.reason) == ("sdpa", "the package xformers is not installed")
    assert set(processors(unet)) == {"AttnProcessor2_0"}


def test_xformers_falls_back_on_a_cpu_and_is_set_on_cuda(tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = ModuleType("xformers")
    fake.__spec__ = type(sys.__spec__)("xformers", None)  # what find_spec reads of a module that is loaded
    monkeypatch.setitem(sys.modules, "xformers", fake)
    unet: Any = load_model(tiny.denoiser)
    on_cpu = set_attention(unet, "xformers", "cpu")
    assert (on_cpu.used, on_cpu.reason) == ("sdpa", "xformers works on CUDA devices, and this is cpu")
    assert set_attention(unet, "xformers", "cuda:0").reason is None
    assert set(processors(unet)) == {"XFormersAttnProcessor"}


@pytest.mark.parametrize(("family", "processor"), [("sd3", "JointAttnProcessor2_0"), ("flux", "FluxAttnProcessor")])
def test_a_model_with_one_kind_of_attention_keeps_it_and_says_so(family: str, processor: str, own_home: None) -> None:
    model: Any = load_model(read_checkpoint(f"synthetic:{family}-tiny").denoiser)
    choice = set_attention(model, "sliced", "cpu")
    assert choice.used == "sdpa"
    assert choice.reason == f"{type(model).__name__} has no other attention than {processor}"
    assert set(processors(model)) == {processor}
    assert choose_attention("auto", model, "cpu").reason is None


def test_the_kernel_that_pytorch_takes_is_named() -> None:
    assert sdpa_kernel("cpu", torch.float32) in ("flash_attention", "math", "efficient_attention")


def test_the_setting_offers_what_there_is() -> None:
    assert get_args(Settings.model_fields["attention"].annotation) == get_args(AttentionBackend)
