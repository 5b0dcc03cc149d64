"""How weights change what a text model says of a prompt: one rule per syntax.

All of them leave a chunk whose weights are all 1 as it is, bit for bit, and the pooled vector always.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from sdgraph.models.chunks import Chunk, ChunkFormat, make_chunks
from sdgraph.models.prompt import Normalize, Syntax

if TYPE_CHECKING:
    from torch import Tensor

LEAST_MEAN = 0.05
"""Below this share of the spread, the mean of an encoder's output is noise and says nothing about its size."""
LEAST_WEIGHT = 1e-5
"""compel mixes by tan((1 - weight) * pi / 2), which is infinite at 0."""

Encode = Callable[[Chunk, Sequence[int] | None], "Tensor"]
"""A chunk, and which of its tokens are seen (1) or masked (0; None: all are seen) -> its vectors [1, L, D]."""


def weigh(
    chunks: Sequence[Chunk], form: ChunkFormat, encode: Encode, syntax: Syntax, normalize: Normalize
) -> list[Tensor]:
    """The vectors [1, L, D] of each chunk, weighted.

    a1111 multiplies each token's vector by its weight; `normalize` then says whether the chunk gets its mean back.
    comfy moves each vector away from the one that stands in its place in an empty prompt. compel does so too, and
    mixes what is weighted below 1 with the same prompt where it is masked.
    """
    plain = [encode(chunk, None) for chunk in chunks]
    if all(weight == 1 for chunk in chunks for weight in chunk.weights):
        return plain
    if syntax in ("a1111", "plain"):
        return [_multiplied(hidden, chunk, normalize) for hidden, chunk in zip(plain, chunks, strict=True)]
    (nothing,) = make_chunks([[]], form)
    empty = encode(nothing, None)
    moved = [_moved(hidden, empty, chunk) for hidden, chunk in zip(plain, chunks, strict=True)]
    if syntax == "comfy":
        return moved
    return _with_masked(moved, empty, chunks, encode)


def _multiplied(hidden: Tensor, chunk: Chunk, normalize: Normalize) -> Tensor:
    """A1111's rule. Its "Original" takes the mean over a whole batch; here it is the prompt's own."""
    if all(weight == 1 for weight in chunk.weights):
        return hidden
    weighted = hidden * _weights(chunk, hidden)
    if normalize == "none" or hidden.mean().abs() < LEAST_MEAN * hidden.std():
        return weighted
    return weighted * (hidden.mean() / weighted.mean())


def _moved(hidden: Tensor, empty: Tensor, chunk: Chunk) -> Tensor:
    """ComfyUI's rule: empty + weight * (hidden - empty); vectors of weight 1 keep their bits."""
    import torch

    weights = _weights(chunk, hidden)
    return torch.where(weights == 1, hidden, empty + weights * (hidden - empty))


def _with_masked(moved: Sequence[Tensor], empty: Tensor, chunks: Sequence[Chunk], encode: Encode) -> list[Tensor]:
    """compel's rule for weights below 1, `DownweightMode.MASK`.

    The prompt and, for each fragment of weight w < 1, the prompt in which the fragment is masked are averaged with the
    weights 1 and tan((1 - w) * pi / 2).
    """
    shares = [
        (number, seen, math.tan((1 - max(weight, LEAST_WEIGHT)) * math.pi / 2))
        for number, chunk in enumerate(chunks)
        for weight, seen in _faint_fragments(chunk)
    ]
    if not shares:
        return list(moved)
    total = 1 + sum(share for _, _, share in shares)
    mixed: list[Tensor] = []
    for number, (chunk, hidden) in enumerate(zip(chunks, moved, strict=True)):
        own = [(seen, share) for place, seen, share in shares if place == number]
        mix = hidden * ((total - sum(share for _, share in own)) / total)
        for seen, share in own:
            mix = mix + _moved(encode(chunk, seen), empty, chunk) * (share / total)
        mixed.append(mix if own else hidden)
    return mixed


def _faint_fragments(chunk: Chunk) -> list[tuple[float, list[int]]]:
    """Each run of tokens of one weight below 1, with a mask of the chunk that hides it."""
    found: list[tuple[float, list[int]]] = []
    for weight, run in groupby(range(len(chunk.ids)), lambda at: chunk.weights[at]):
        hidden = set(run)
        if weight < 1:
            found.append((weight, [0 if at in hidden else 1 for at in range(len(chunk.ids))]))
    return found


def _weights(chunk: Chunk, like: Tensor) -> Tensor:
    """[1, L, 1]."""
    import torch

    return torch.tensor(chunk.weights, device=like.device, dtype=like.dtype)[None, :, None]
