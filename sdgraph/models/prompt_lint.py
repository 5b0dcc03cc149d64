"""What people should know of a prompt before it is drawn: how long it is, what is cut, what stands there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from sdgraph.models.chunks import Weighted, make_chunks
from sdgraph.models.prompt import Syntax, parse_prompt
from sdgraph.models.prompt_plan import plan_prompt
from sdgraph.models.prompt_words import Words, tokens_of
from sdgraph.models.towers import LoadedTower


@dataclass(frozen=True, slots=True)
class WeightGroup:
    """A run of a prompt with one weight."""

    text: str
    weight: float
    tokens: int


@dataclass(frozen=True, slots=True)
class TextReport:
    """One of the texts of a prompt, as a text model reads it."""

    text: str
    chunk_tokens: tuple[int, ...]
    """Tokens of the prompt in each chunk, start and end not counted."""
    room: int
    """Tokens that a chunk has room for."""
    beyond_first: str
    """What stands behind the first chunk: what tools without chunks, diffusers' pipelines for example, leave out."""
    groups: tuple[WeightGroup, ...]
    repeated: tuple[str, ...]
    """Phrases between commas that occur more than once."""

    @property
    def tokens(self) -> int:
        """Tokens of the whole text."""
        return sum(self.chunk_tokens)

    def lines(self) -> list[str]:
        """The report for people, one sentence a line."""
        chunks = len(self.chunk_tokens)
        counted = f"{self.tokens} tokens in {chunks} chunk{'s' if chunks > 1 else ''} of {self.room}"
        said = [f"`{_shortened(self.text)}`: {counted} ({', '.join(map(str, self.chunk_tokens))})."]
        if self.beyond_first:
            said.append(f"Beyond the first chunk: `{_shortened(self.beyond_first)}`.")
        if self.repeated:
            said.append(f"More than once: {', '.join(f'`{_shortened(phrase)}`' for phrase in self.repeated)}.")
        weighted = [group for group in self.groups if group.weight != 1]
        said += [f"`{_shortened(group.text)}` weighs {group.weight:g} ({group.tokens} tokens)." for group in weighted]
        return said


def lint_prompt(
    prompt: str, tower: LoadedTower, syntax: Syntax = "a1111", words: Words | None = None
) -> tuple[TextReport, ...]:
    """A report for each text that the prompt is made of. Only the tower's tokenizer is used, its weights are not.

    `words` are embeddings, as `prompt_words.tokens_of` takes them. Raises SamplingError as `plan_prompt` does.
    """
    return tuple(_report(text, tower, syntax, words or {}) for text in plan_prompt(prompt, syntax).texts)


def _report(text: str, tower: LoadedTower, syntax: Syntax, words: Words) -> TextReport:
    sections = parse_prompt(text, syntax)
    segments = [segment for section in sections for segment in section]
    tokens = [tokens_of(section, tower.tokenizer, words, syntax) for section in sections]
    form = tower.form
    chunks = make_chunks(tokens, form)
    framing = form.length - form.room
    counts = tuple(_content(chunk.ids, form.end_id, framing) for chunk in chunks)
    flat = [token for section in tokens for token in section]
    phrases = Counter(
        phrase
        for part in "".join(segment.text for segment in segments).split(",")
        if (phrase := part.strip().casefold())
    )
    return TextReport(
        text,
        counts,
        form.room,
        _decoded(flat[counts[0] :], tower, words),
        tuple(WeightGroup(_decoded(list(run), tower, words), weight, count) for weight, run, count in _runs(flat)),
        tuple(phrase for phrase, count in phrases.items() if count > 1),
    )


def _runs(tokens: list[Weighted]) -> list[tuple[float, list[Weighted], int]]:
    found: list[tuple[float, list[Weighted], int]] = []
    for weight, group in groupby(tokens, lambda token: token[1]):
        run = list(group)
        found.append((weight, run, len(run)))
    return found


def _content(ids: tuple[int, ...], end_id: int, framing: int) -> int:
    """Tokens between start and end."""
    return ids.index(end_id) - (framing - 1)


def _decoded(tokens: list[Weighted], tower: LoadedTower, words: Words) -> str:
    """The tokens as text; embeddings by their names."""
    names = {ids[0]: name for name, ids in words.items() if ids}
    parts: list[str] = []
    for is_word, group in groupby(tokens, lambda token: token[0] < 0):
        ids = [token for token, _ in group]
        parts.append(" ".join(names[i] for i in ids if i in names) if is_word else tower.tokenizer.decode(ids).strip())
    return " ".join(part for part in parts if part)


def _shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def placeholder_words(vectors: Mapping[str, int]) -> Words:
    """Token ids for embeddings that are not loaded, from the number of vectors of each."""
    words: dict[str, tuple[int, ...]] = {}
    first = 0
    for name, count in vectors.items():
        words[name] = tuple(-1 - row for row in range(first, first + count))
        first += count
    return words
