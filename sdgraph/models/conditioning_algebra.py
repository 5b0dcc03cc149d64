"""Conditionings made of others: together, one after the other, in between, emptied."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sdgraph.models.prompt_join import appended, lengthened, require_one, require_width
from sdgraph.payloads.conditioning import Conditioning, ConditioningEntry

if TYPE_CHECKING:
    from torch import Tensor


def combined(first: Conditioning, second: Conditioning) -> Conditioning:
    """All entries of both: where and when several apply, their predictions are averaged by strength.

    Raises SamplingError [conditioning-width] unless both are of one text encoder.
    """
    require_width(second.entries[0].embedding.shape[-1], first.entries[0].embedding.shape[-1])
    offset = max(entry.group for entry in first.entries) + 1
    moved = (replace(entry, group=entry.group + offset) for entry in second.entries)
    return Conditioning((*first.entries, *moved))


def concatenated(first: Conditioning, second: Conditioning) -> Conditioning:
    """Each entry of `first` with the vectors of `second` behind its own. Raises SamplingError [conditioning-entries]
    unless `second` is of one prompt.
    """
    behind = require_one(second, "What is put behind a conditioning")
    return Conditioning(tuple(appended(entry, behind) for entry in first.entries))


def averaged(first: Conditioning, second: Conditioning, share: float) -> Conditioning:
    """Each entry of `first` moved towards `second`: share * first + (1 - share) * second, for vectors and pooled ones.

    A share of 1 is `first` bit for bit. The shorter one is lengthened by its last vector. Raises SamplingError
    [conditioning-entries] unless `second` is of one prompt.
    """
    other = require_one(second, "What a conditioning is averaged with")
    return first if share == 1 else Conditioning(tuple(_between(entry, other, share) for entry in first.entries))


def zeroed(conditioning: Conditioning) -> Conditioning:
    """The same with all vectors 0: what some models take for "no prompt"."""
    return Conditioning(
        tuple(
            replace(
                entry,
                embedding=entry.embedding * 0,
                pooled=None if entry.pooled is None else entry.pooled * 0,
            )
            for entry in conditioning.entries
        )
    )


def _between(entry: ConditioningEntry, other: ConditioningEntry, share: float) -> ConditioningEntry:
    require_width(other.embedding.shape[-1], entry.embedding.shape[-1])
    length = max(entry.embedding.shape[1], other.embedding.shape[1])
    embedding = _mix(lengthened(entry.embedding, length), lengthened(other.embedding, length), share)
    if entry.pooled is None or other.pooled is None:
        return replace(entry, embedding=embedding)
    return replace(entry, embedding=embedding, pooled=_mix(entry.pooled, other.pooled, share))


def _mix(first: Tensor, second: Tensor, share: float) -> Tensor:
    return first * share + second * (1 - share)
