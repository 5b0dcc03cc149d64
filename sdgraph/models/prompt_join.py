"""Encoded parts of a prompt put together as its syntax says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sdgraph.errors import SamplingError
from sdgraph.models.prompt_plan import Joining
from sdgraph.payloads.conditioning import Conditioning, ConditioningEntry
from sdgraph.payloads.step_window import StepWindow

if TYPE_CHECKING:
    from torch import Tensor


def join_part(
    so_far: Conditioning | None,
    part: Conditioning,
    joining: Joining,
    factor: float = 1.0,
    windows: tuple[StepWindow, ...] = (),
) -> Conditioning:
    """The conditioning with one more part; `so_far` is None before the first.

    "add": the part is an entry of the same group with this factor, for the steps in `windows`. "blend": its vectors
    times the factor are added. "concat": its vectors times the factor stand behind. Raises SamplingError
    [conditioning-entries] where a part is itself of several prompts.
    """
    entry = require_one(part, "A part of a prompt")
    if joining == "add":
        before = so_far.entries if so_far else ()
        return Conditioning((*before, replace(entry, group=0, factor=factor, windows=windows)))
    if factor != 1:
        entry = _times(entry, factor)
    if so_far is None:
        return Conditioning((entry,))
    first = require_one(so_far, "A prompt so far")
    return Conditioning((mixed(first, entry) if joining == "blend" else appended(first, entry),))


def require_one(conditioning: Conditioning, what: str) -> ConditioningEntry:
    """The conditioning's one entry. Raises SamplingError [conditioning-entries] when it has several."""
    if len(conditioning.entries) != 1:
        raise SamplingError(
            "conditioning-entries",
            f"{what} must be of one prompt, found {len(conditioning.entries)}.",
            "Encode one text that does not change while sampling.",
        )
    return conditioning.entries[0]


def require_width(found: int, expected: int, port: str = "second") -> None:
    """Raises SamplingError [conditioning-width] unless vectors of two conditionings have one length."""
    if found != expected:
        raise SamplingError(
            "conditioning-width",
            f"The first conditioning has vectors of {expected} numbers, the second of {found}.",
            "Encode both prompts with the text encoder of one checkpoint.",
            port=port,
        )


def mixed(first: ConditioningEntry, second: ConditioningEntry) -> ConditioningEntry:
    """The sum of two entries' vectors; the shorter one is lengthened by its last vector."""
    import torch

    require_width(second.embedding.shape[-1], first.embedding.shape[-1])
    length = max(first.embedding.shape[1], second.embedding.shape[1])
    embedding = lengthened(first.embedding, length) + lengthened(second.embedding, length)
    pooled = [entry.pooled for entry in (first, second) if entry.pooled is not None]
    return replace(first, embedding=embedding, pooled=torch.stack(pooled).sum(0) if pooled else None)


def appended(first: ConditioningEntry, second: ConditioningEntry) -> ConditioningEntry:
    """The vectors of both, one after the other; the pooled vector is the first one's."""
    import torch

    require_width(second.embedding.shape[-1], first.embedding.shape[-1])
    return replace(first, embedding=torch.cat([first.embedding, second.embedding], dim=1))


def lengthened(embedding: Tensor, length: int) -> Tensor:
    """[1, length, D]: the last vector repeated, as A1111 does."""
    import torch

    return torch.cat([embedding, embedding[:, -1:].expand(-1, length - embedding.shape[1], -1)], dim=1)


def _times(entry: ConditioningEntry, factor: float) -> ConditioningEntry:
    pooled = None if entry.pooled is None else entry.pooled * factor
    return replace(entry, embedding=entry.embedding * factor, pooled=pooled)
