"""Chunks: long prompts cut into pieces that a text encoder can read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

COMMA_REACH_TOKENS = 20
"""A full chunk is cut after its last comma if that stands among this many last tokens, to keep phrases together."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Token ids and a weight for each, start, end and padding included: both of the encoder's full length."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ChunkFormat:
    """What the text encoder wants to read."""

    length: int
    """Tokens per chunk, start and end included; 77 for CLIP."""
    start_id: int | None
    """None: chunks have no start token, as T5's."""
    end_id: int
    pad_id: int
    comma_id: int | None = None

    @property
    def room(self) -> int:
        """Tokens of a prompt that fit between start and end."""
        return self.length - (1 if self.start_id is None else 2)


Weighted = tuple[int, float]
"""A token id and its weight."""


def make_chunks(sections: Sequence[Iterable[Weighted]], form: ChunkFormat) -> tuple[Chunk, ...]:
    """Chunks of the sections, each section beginning a new one; one chunk at least."""
    return tuple(_framed(tokens, form) for section in sections for tokens in _cut(section, form))


def _cut(section: Iterable[Weighted], form: ChunkFormat) -> list[list[Weighted]]:
    size = form.room
    chunks: list[list[Weighted]] = [[]]
    for token in section:
        if len(chunks[-1]) == size:
            cut = size if token[0] == form.comma_id else _where_to_cut(chunks[-1], token, form.comma_id)
            full = chunks[-1]
            chunks[-1] = full[:cut]
            chunks.append(full[cut:])
        chunks[-1].append(token)
    return chunks


def _where_to_cut(tokens: Sequence[Weighted], following: Weighted, comma_id: int | None) -> int:
    """Where to cut a full chunk: before an embedding that would be torn, or as `_after_comma` says."""
    torn = 0  # the ids of an embedding's vectors are negative and count down
    while torn < len(tokens) and following[0] < 0 and tokens[-1 - torn][0] == following[0] + torn + 1 < 0:
        torn += 1
    return len(tokens) - torn if 0 < torn < len(tokens) else _after_comma(tokens, comma_id)


def _after_comma(tokens: Sequence[Weighted], comma_id: int | None) -> int:
    """Where to cut a full chunk: after a comma near its end, or at its end."""
    for back in range(1, min(COMMA_REACH_TOKENS, len(tokens)) + 1):
        if tokens[-back][0] == comma_id:
            return len(tokens) - back + 1
    return len(tokens)


def _framed(tokens: Sequence[Weighted], form: ChunkFormat) -> Chunk:
    padding = form.room - len(tokens)
    start = () if form.start_id is None else (form.start_id,)
    ids = (*start, *(token for token, _ in tokens), form.end_id, *[form.pad_id] * padding)
    weights = (*[1.0] * len(start), *(weight for _, weight in tokens), *[1.0] * (padding + 1))
    return Chunk(ids, weights)
