"""Self-attention that is not computed in full: each query attends to its best keys alone, or to random features.

Experiments. Top-k attention (Gupta et al. 2021, arXiv:2106.06899) keeps the k largest scores of each query. FAVOR+
(Choromanski et al. 2021, Rethinking Attention with Performers, arXiv:2009.14794) takes exp(q.k) for the mean of
products of positive random features, so that keys and values are summed up once for all queries: its cost grows with
the number of tokens and not with its square. A model that was not trained for it draws worse, the fewer the features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from sdgraph.models.attention import attention_blocks

if TYPE_CHECKING:
    from torch import Tensor, nn

Attend: TypeAlias = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]
"""Queries [B, heads, N, d], keys [B, heads, M, d] and values [B, heads, M, d] to answers [B, heads, N, d]."""


def top_k_weights(query: Tensor, key: Tensor, count: int) -> Tensor:
    """[..., N, M], rows sum to 1: attention of [..., N, d] to [..., M, d], of each row to at most `count` keys."""
    # Scaled before the product, which goes beyond half precision in Stable Diffusion 2.
    scores = (query / math.sqrt(query.shape[-1])) @ key.mT
    if count < scores.shape[-1]:
        best = scores.topk(count, dim=-1)
        scores = torch.full_like(scores, float("-inf")).scatter(-1, best.indices, best.values)
    return scores.softmax(dim=-1)


def orthogonal_directions(count: int, width: int, seed: int) -> Tensor:
    """[count, width], float32: random directions, orthogonal in blocks of `width`, as long as Gaussian vectors.

    Section 2.4 of the Performer paper: orthogonal ones have a smaller variance than independent ones.
    """
    generator, whole = torch.Generator().manual_seed(seed), -(-count // width)
    blocks = [_rotation(torch.randn(width, width, generator=generator, dtype=torch.float64)) for _ in range(whole)]
    lengths = torch.randn(count, width, generator=generator, dtype=torch.float64).norm(dim=1, keepdim=True)
    return (torch.cat(blocks)[:count] * lengths).float()


def _rotation(gaussian: Tensor) -> Tensor:
    """[d, d]: uniform over the orthogonal matrices. The signs of R make it so (Mezzadri 2007, arXiv:math-ph/0609050,
    section 5); Q alone prefers some directions, and the features would be biased.
    """
    q, r = torch.linalg.qr(gaussian)
    return (q * r.diagonal().sign()).mT


def log_features(x: Tensor, directions: Tensor) -> Tensor:
    """[..., n]: the logarithms of positive features of x [..., d]; equation 5, lemma 1, without the constant factor.

    The mean over features of exp(log_features(q) + log_features(k)) is on average exp(q.k).
    """
    return x @ directions.mT - x.square().sum(dim=-1, keepdim=True) / 2


def favor_attention(query: Tensor, key: Tensor, value: Tensor, directions: Tensor) -> Tensor:
    """[..., N, d]: attention of [..., N, d] to [..., M, d] by random features, without any tensor of N x M numbers."""
    shrink = query.shape[-1] ** -0.25
    asked, there = (log_features(x.float() * shrink, directions) for x in (query, key))
    # Factors that a query's whole row has cancel out; these keep the exponentials in range.
    asked = (asked - asked.amax(dim=-1, keepdim=True)).exp()
    there = (there - there.amax(dim=(-2, -1), keepdim=True)).exp()
    total = asked @ there.sum(dim=-2)[..., None]
    answers = asked @ (there.mT @ value.float())
    return (answers / total.clamp_min(torch.finfo(torch.float32).tiny)).to(value.dtype)


class ApproximateProcessor:
    """An attention processor for self-attention of UNets, in place of the usual one while a model is `active`."""

    def __init__(self, usual: Any, attend: Attend, active: Callable[[], bool]) -> None:
        self._usual = usual
        self._attend = attend
        self._active = active

    def __call__(self, attn: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """[B, N, C] of tokens [B, N, C]."""
        if not self._active():
            return self._usual(attn, hidden_states, *args, **kwargs)
        parts = (project(hidden_states) for project in (attn.to_q, attn.to_k, attn.to_v))
        query, key, value = (part.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for part in parts)
        answers = self._attend(query, key, value).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](answers))


@contextmanager
def approximated(unet: nn.Module, keys: int, features: int, seed: int, active: Callable[[], bool]) -> Generator[None]:
    """Within the `with` block self-attention of a UNet sees `keys` keys per query, or `features` random features.

    It does so whenever it is `active`; with both 0 nothing is touched. Afterwards the UNet is exactly as it was.
    """
    blocks = attention_blocks(unet).values() if keys or features else ()
    layers: list[Any] = [block.get_submodule("attn1") for block in blocks]
    before = [layer.processor for layer in layers]
    attend = _best(keys) if keys else _by_features(features, seed)
    try:
        for layer in layers:
            layer.set_processor(ApproximateProcessor(layer.processor, attend, active))
        yield
    finally:
        for layer, usual in zip(layers, before, strict=True):
            layer.set_processor(usual)


def _best(count: int) -> Attend:
    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return top_k_weights(query, key, count) @ value

    return attend


def _by_features(count: int, seed: int) -> Attend:
    @lru_cache
    def directions(width: int, device: torch.device) -> Tensor:
        return orthogonal_directions(count, width, seed).to(device)

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return favor_attention(query, key, value, directions(query.shape[-1], query.device))

    return attend
