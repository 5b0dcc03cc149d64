"""Attention to the best keys alone, and by random features: what they must be equal to, and how near they are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sdgraph_nodes.approximate_attention import LinearAttention, TopKAttention
from torch import Tensor

from sdgraph.models.approximate_attention import (
    favor_attention,
    log_features,
    orthogonal_directions,
    top_k_weights,
)
from sdgraph.models.compose import open_model
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.handles import DenoiserHandle
from tests.nodes.tiny_model import context, model, prompt


def inputs(seed: int = 0, queries: int = 12, keys: int = 20, width: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(2, 3, queries, width, generator=generator),
        torch.randn(2, 3, keys, width, generator=generator),
        torch.randn(2, 3, keys, width, generator=generator),
    )


def exact(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.nn.functional.scaled_dot_product_attention(query, key, value)


def few_keys(keys: int, denoiser: DenoiserHandle | None = None) -> DenoiserHandle:
    node: Any = TopKAttention(denoiser=denoiser or model().denoiser, keys=keys)
    return node.run(context()).denoiser


def by_features(features: int, seed: int = 0, denoiser: DenoiserHandle | None = None) -> DenoiserHandle:
    node: Any = LinearAttention(denoiser=denoiser or model().denoiser, features=features, features_seed=seed)
    return node.run(context()).denoiser


def predict(pool: ModelPool, denoiser: DenoiserHandle) -> Tensor:
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    with open_model(pool, denoiser) as opened:
        return opened.denoise(x, torch.tensor([3.0]), (prompt("a star"),))[0]


@given(count=st.integers(1, 30), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_each_query_attends_to_so_many_keys_with_weights_that_sum_to_1(count: int, seed: int) -> None:
    query, key, _ = inputs(seed)
    weights = top_k_weights(query, key, count)
    assert bool(((weights > 0).sum(dim=-1) == min(count, 20)).all())
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 3, 12), rtol=0, atol=1e-6)


def test_equal_scores_make_no_further_keys() -> None:
    weights = top_k_weights(torch.ones(1, 4), torch.ones(6, 4), 2)
    assert weights.count_nonzero() == 2
    assert weights.max() == 0.5


@pytest.mark.parametrize("count", [20, 21, 1000])
def test_all_keys_are_full_attention(count: int) -> None:
    query, key, value = inputs()
    assert float((top_k_weights(query, key, count) @ value - exact(query, key, value)).abs().max()) <= 1e-6


def test_long_queries_and_keys_stay_within_half_precision() -> None:
    query, key = torch.full((1, 3, 64), 40.0), torch.full((1, 5, 64), 40.0)  # a product of 102400
    key[:, 2] *= 1.01
    expected = top_k_weights(query, key, 3)
    torch.testing.assert_close(top_k_weights(query.half(), key.half(), 3).float(), expected, rtol=0, atol=1e-3)


def test_one_key_is_the_best_one() -> None:
    query, key, value = inputs()
    best = (query @ key.mT).argmax(dim=-1)
    expected = value.gather(2, best[..., None].expand(-1, -1, -1, 8))
    torch.testing.assert_close(top_k_weights(query, key, 1) @ value, expected)


def test_directions_are_orthogonal_in_blocks_and_seeded() -> None:
    directions = orthogonal_directions(20, 8, seed=3)
    assert directions.shape == (20, 8)
    for block in directions.split(8):
        gram = block @ block.mT
        torch.testing.assert_close(gram, gram.diagonal().diag(), rtol=0, atol=1e-4)
    assert torch.equal(directions, orthogonal_directions(20, 8, seed=3))
    assert not torch.equal(directions, orthogonal_directions(20, 8, seed=4))


def test_lengths_are_those_of_gaussian_vectors() -> None:
    lengths = orthogonal_directions(4000, 8, seed=1).square().sum(dim=1)
    assert float(lengths.mean()) == pytest.approx(8, rel=0.03)  # chi-squared of 8 degrees of freedom
    assert float(lengths.var()) == pytest.approx(16, rel=0.1)


def test_features_multiply_to_the_softmax_kernel_on_average() -> None:
    generator = torch.Generator().manual_seed(2)
    q, k = torch.randn(2, 8, generator=generator) * 0.5
    directions = orthogonal_directions(20_000, 8, seed=0)
    estimate = (log_features(q, directions) + log_features(k, directions)).exp().mean()
    assert float(estimate) == pytest.approx(float((q @ k).exp()), rel=0.03)


def test_answers_are_means_of_the_values() -> None:
    query, key, value = inputs()
    ones = favor_attention(query, key, torch.ones_like(value), orthogonal_directions(16, 8, seed=0))
    torch.testing.assert_close(ones, torch.ones(2, 3, 12, 8), rtol=0, atol=1e-5)


def test_the_error_falls_with_the_number_of_features() -> None:
    query, key, value = inputs()
    query, key = query / 2, key / 2  # the variance of the features grows exponentially with these lengths
    whole = exact(query, key, value)

    def error(count: int) -> float:
        seeds = range(5)
        found = [favor_attention(query, key, value, orthogonal_directions(count, 8, seed)) for seed in seeds]
        return float(torch.stack([(each - whole).square().mean() for each in found]).mean())

    errors = [error(count) for count in (8, 64, 512, 4096)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 30  # mean squares: of few features they are bounded by those of the values


@pytest.mark.parametrize("scale", [1e-3, 30.0])
def test_large_and_small_scores_stay_finite(scale: float) -> None:
    query, key, value = inputs()
    found = favor_attention(query * scale, key * scale, value, orthogonal_directions(32, 8, seed=0))
    assert bool(found.isfinite().all())
    if scale < 1:
        torch.testing.assert_close(found, exact(query * scale, key * scale, value), rtol=0, atol=1e-3)


def test_0_is_the_handle_itself_and_the_later_node_counts() -> None:
    assert few_keys(0) == by_features(0) == model().denoiser
    assert few_keys(9, by_features(64, 5)) == few_keys(9)
    assert by_features(64, 5, few_keys(9)) == by_features(64, 5)
    assert by_features(64, 5).shortcuts.features_seed == 5


def test_all_keys_predict_what_the_usual_attention_predicts(pool: ModelPool) -> None:
    usual = predict(pool, model().denoiser)
    assert float((predict(pool, few_keys(64)) - usual).abs().max()) <= 1e-5  # of values up to 14, over four levels
    assert not torch.allclose(predict(pool, few_keys(2)), usual, atol=1e-3)


def test_more_features_predict_more_nearly(pool: ModelPool) -> None:
    usual = predict(pool, model().denoiser)
    few, many = (
        sum(float((predict(pool, by_features(count, seed)) - usual).abs().mean()) for seed in range(3))
        for count in (4, 1024)
    )
    assert many < few / 3


def test_processors_come_back(pool: ModelPool) -> None:
    before = predict(pool, model().denoiser)
    for handle in (few_keys(3), by_features(8)):
        predict(pool, handle)
        assert torch.equal(predict(pool, model().denoiser), before)
    with pool.lease(model().denoiser) as unet:
        kinds = {type(layer).__name__ for layer in unet.attn_processors.values()}
    assert "ApproximateProcessor" not in kinds
