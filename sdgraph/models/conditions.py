"""Conditionings joined to the tensors that a network takes, each repeated for the items of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sdgraph.errors import SamplingError
from sdgraph.payloads.conditioning import Conditioning, ConditioningEntry, PictureFacts

if TYPE_CHECKING:
    from torch import Tensor

AESTHETIC_SCORE, NEGATIVE_AESTHETIC_SCORE = 6.0, 2.5
DISTILLED_GUIDANCE = 3.5
"""What models are told where a conditioning says nothing; the defaults of diffusers' pipelines."""


def join_conditionings(conditionings: Sequence[Conditioning], batch: int, width: int) -> Tensor:
    """Embeddings [k*B, L, D], each conditioning repeated `batch` times.

    Shorter ones are lengthened by repeating their last vector, as A1111 does. Raises SamplingError
    [conditioning-width] and [conditioning-entries].
    """
    import torch

    embeddings = [_embedding(only_entry(conditioning), width) for conditioning in conditionings]
    length = max(embedding.shape[1] for embedding in embeddings)
    padded = [
        torch.cat([embedding, embedding[:, -1:].expand(-1, length - embedding.shape[1], -1)], dim=1)
        for embedding in embeddings
    ]
    return torch.cat([embedding.expand(batch, -1, -1) for embedding in padded])


def join_pooled(conditionings: Sequence[Conditioning], batch: int, width: int) -> Tensor:
    """Pooled vectors [k*B, P], each conditioning's repeated `batch` times. Raises SamplingError [conditioning-pooled]
    where one has none, or one of another length.
    """
    import torch

    return torch.cat([_pooled(only_entry(conditioning), width).expand(batch, -1) for conditioning in conditionings])


def join_facts(conditionings: Sequence[Conditioning], batch: int, size_px: tuple[int, int], numbers: int) -> Tensor:
    """SDXL's numbers about the picture [k*B, numbers] float32: 6 for the base model, 5 for the refiner.

    `size_px` is (height, width) of the picture that is drawn.
    """
    import torch

    rows = [picture_numbers(only_entry(conditioning), size_px, numbers) for conditioning in conditionings]
    return torch.tensor(rows, dtype=torch.float32).repeat_interleave(batch, dim=0)


def join_guidance(conditionings: Sequence[Conditioning], batch: int) -> Tensor:
    """The guidance scale that a distilled model is told, [k*B] float32."""
    import torch

    entries = [only_entry(conditioning) for conditioning in conditionings]
    told = [DISTILLED_GUIDANCE if e.distilled_guidance is None else e.distilled_guidance for e in entries]
    return torch.tensor(told, dtype=torch.float32).repeat_interleave(batch)


def picture_numbers(entry: ConditioningEntry, size_px: tuple[int, int], numbers: int) -> list[float]:
    """Original size, crop, then target size (base model) or aesthetic score (refiner)."""
    facts = entry.facts or PictureFacts()
    start = [*(facts.original_px or size_px), *facts.crop_px]
    if numbers == 6:
        return [*start, *(facts.target_px or size_px)]
    usual = NEGATIVE_AESTHETIC_SCORE if entry.negative else AESTHETIC_SCORE
    return [*start, usual if facts.aesthetic_score is None else facts.aesthetic_score]


def only_entry(conditioning: Conditioning) -> ConditioningEntry:
    """The conditioning's one entry. Raises SamplingError [conditioning-entries] when it has several."""
    if len(conditioning.entries) != 1:
        raise SamplingError(
            "conditioning-entries",
            f"The sampler takes conditioning of one prompt, found {len(conditioning.entries)}.",
            "Encode one text.",
        )
    return conditioning.entries[0]


def require_width(found: int, expected: int) -> None:
    """Raises SamplingError [conditioning-width] unless the vectors are as long as the denoiser wants them."""
    if found != expected:
        raise SamplingError(
            "conditioning-width",
            f"The denoiser takes conditioning vectors of {expected} numbers, found {found}.",
            "Encode the prompt with the text encoder of the same checkpoint.",
        )


def require_pooled(found: int | None, expected: int) -> None:
    """Raises SamplingError [conditioning-pooled] unless the vector of the whole prompt is what the denoiser wants."""
    if found != expected:
        raise SamplingError(
            "conditioning-pooled",
            f"The denoiser also takes the prompt as one vector of {expected} numbers, found {found or 'none'}.",
            "Encode the prompt with the text encoder of the same checkpoint.",
        )


def _embedding(entry: ConditioningEntry, width: int) -> Tensor:
    require_width(entry.embedding.shape[-1], width)
    return entry.embedding


def _pooled(entry: ConditioningEntry, width: int) -> Tensor:
    require_pooled(None if entry.pooled is None else entry.pooled.shape[-1], width)
    assert entry.pooled is not None
    return entry.pooled
