"""Encoding prompts: weights, chunks, clip skip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdgraph.models.chunks import Chunk, Weighted, make_chunks
from sdgraph.models.prompt import Normalize, Section, Syntax, parse_prompt
from sdgraph.models.towers import LoadedTower, TextModel, join_towers, run_tower
from sdgraph.payloads.conditioning import Conditioning

if TYPE_CHECKING:
    from torch import Tensor

LEAST_MEAN = 0.05
"""Below this share of the spread, the mean of an encoder's output is noise and says nothing about its size."""


def encode_text(
    text: str,
    model: TextModel,
    *,
    syntax: Syntax = "a1111",
    normalize: Normalize = "mean_per_prompt",
    clip_skip: int = 0,
) -> Conditioning:
    """A prompt as vectors, float32 [1, chunks * length, D] on the CPU, each token's vector times its weight.

    Every text tower of the model encodes it; `towers.join_towers` says how their outputs become one.

    `mean_per_prompt` then scales each chunk back to the mean that it had without weights, as A1111's "Original" does
    for a whole batch; here it is done per prompt, so a picture does not depend on its neighbours, and only for encoders
    whose output has a mean (`LEAST_MEAN`; CLIP's has). `clip_skip` leaves out that many last layers (0: none; A1111
    counts the same from 1). A prompt without weights and of one chunk gives the same bits as diffusers'
    `encode_prompt`.

    Raises SamplingError [prompt-unsupported], [prompt-weight], [clip-skip].
    """
    model.require_clip_skip(clip_skip)
    pairs = [_encode_tower(text, tower, syntax, normalize, clip_skip) for tower in model.towers]
    return Conditioning((join_towers(model, [hidden for hidden, _ in pairs], [pooled for _, pooled in pairs]),))


def chunk_prompt(text: str, tower: LoadedTower, syntax: Syntax = "a1111") -> tuple[Chunk, ...]:
    """A prompt as a text tower reads it. Raises SamplingError as `parse_prompt` does."""
    sections = [_tokens(section, tower.tokenizer) for section in parse_prompt(text, syntax)]
    if tower.spec.kind == "t5":
        # T5 reads long texts in one piece: a section has no chunk of its own.
        sections = [[token for section in sections for token in section]]
    return make_chunks(sections, tower.form)


def _tokens(section: Section, tokenizer: Any) -> list[Weighted]:
    if not section:
        return []
    # verbose=False: a long prompt is cut into chunks later, so the tokenizer's warning would be wrong.
    ids = tokenizer([segment.text for segment in section], add_special_tokens=False, verbose=False)["input_ids"]
    return [(token, segment.weight) for segment, tokens in zip(section, ids, strict=True) for token in tokens]


def _encode_tower(
    text: str, tower: LoadedTower, syntax: Syntax, normalize: Normalize, clip_skip: int
) -> tuple[Tensor, Tensor | None]:
    """[1, chunks * length, D], and the pooled vector [1, P] of the first chunk where the family uses it."""
    import torch

    chunks = chunk_prompt(text, tower, syntax)
    outputs = [run_tower(tower, chunk.ids, clip_skip) for chunk in chunks]
    hidden = [_weigh(output.hidden, chunk, normalize) for output, chunk in zip(outputs, chunks, strict=True)]
    return torch.cat(hidden, dim=1), outputs[0].pooled


def _weigh(hidden: Tensor, chunk: Chunk, normalize: Normalize) -> Tensor:
    """The chunk's vectors [1, L, D], each times its token's weight."""
    import torch

    if all(weight == 1 for weight in chunk.weights):
        return hidden
    weighted = hidden * torch.tensor(chunk.weights, device=hidden.device, dtype=hidden.dtype)[None, :, None]
    if normalize == "none" or hidden.mean().abs() < LEAST_MEAN * hidden.std():
        return weighted
    return weighted * (hidden.mean() / weighted.mean())
