"""Prompt syntax: from text to segments with weights.

The a1111 syntax: `(x)` weighs 1.1, `[x]` 1/1.1, `(x:1.3)` 1.3, nested weights multiply, a bracket that is never closed
reaches to the end, a backslash makes the next bracket literal, and BREAK begins a new chunk.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from sdgraph.errors import SamplingError

Syntax = Literal["a1111", "plain"]
Normalize = Literal["none", "mean_per_prompt"]

ROUND_WEIGHT = 1.1
SQUARE_WEIGHT = 1 / 1.1

_TOKEN = re.compile(
    r"\\[\\()\[\]]"  # an escaped bracket or backslash
    r"|:\s*[+-]?[.\d]+\s*\)"  # a weight that closes a round bracket
    r"|[()\[\]\\:]"
    r"|[^\\()\[\]:]+"
)
_BREAK = re.compile(r"\bBREAK\b")
_EDIT_END = re.compile(r":\s*[+-]?(\d+\.?\d*|\.\d+)\s*$")


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a prompt and its weight."""

    text: str
    weight: float = 1.0


Section = tuple[Segment, ...]
"""What stands between two BREAKs. There may be nothing."""


def parse_prompt(text: str, syntax: Syntax = "a1111") -> tuple[Section, ...]:
    """The prompt's sections, one at least; neighbours of equal weight are one segment.

    Raises SamplingError: [prompt-unsupported] for prompt editing, alternation and AND, which would silently mean
    something else; [prompt-weight] for a weight that is no finite number.
    """
    if syntax == "plain":
        return ((Segment(text),) if text else (),)
    if re.search(r"\bAND\b", text):
        raise _unsupported("AND (several prompts in one)", "Write `and` in small letters.")
    return _Reader().read(text)


@dataclass(slots=True)
class _Piece:
    text: str | None
    """None is a BREAK."""
    weight: float = 1.0


class _Reader:
    """Collects pieces; a bracket that closes multiplies the weights of the pieces since it opened."""

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._round: list[int] = []
        self._square: list[int] = []

    def read(self, text: str) -> tuple[Section, ...]:
        for match in _TOKEN.finditer(text):
            self._take(match.group())
        for start in self._round:
            self._scale(start, ROUND_WEIGHT)
        for start in self._square:
            self._scale(start, SQUARE_WEIGHT)
        return self._sections()

    def _take(self, token: str) -> None:
        weight = _number(token)
        if token == "(":
            self._round.append(len(self._pieces))
        elif token == "[":
            self._square.append(len(self._pieces))
        elif token == ")" and self._round:
            self._scale(self._round.pop(), ROUND_WEIGHT)
        elif token == "]" and self._square:
            self._refuse_editing(self._square[-1])
            self._scale(self._square.pop(), SQUARE_WEIGHT)
        elif weight is not None and self._round:
            self._scale(self._round.pop(), weight)
        elif token[0] == "\\" and len(token) == 2:
            self._pieces.append(_Piece(token[1]))
        else:
            self._add(_BREAK.split(token))

    def _add(self, texts: list[str]) -> None:
        """Texts with a BREAK between each two; the space around it belongs to the BREAK."""
        for i, text in enumerate(texts):
            if i > 0:
                self._pieces.append(_Piece(None))
                text = text.lstrip()
            self._pieces.append(_Piece(text.rstrip() if i + 1 < len(texts) else text))

    def _scale(self, start: int, factor: float) -> None:
        for piece in self._pieces[start:]:
            piece.weight *= factor

    def _refuse_editing(self, start: int) -> None:
        inside = "".join(piece.text or " " for piece in self._pieces[start:])
        if "|" in inside or _EDIT_END.search(inside):
            raise _unsupported(f"`[{inside[:40]}]` (prompt editing)", r"Write \[ and \] to mean brackets.")

    def _sections(self) -> tuple[Section, ...]:
        sections: list[list[_Piece]] = [[]]
        for piece in self._pieces:
            if piece.text is None:
                sections.append([])
            elif piece.text:
                sections[-1].append(piece)
        return tuple(
            tuple(_segment(weight, pieces) for weight, pieces in groupby(section, lambda piece: piece.weight))
            for section in sections
        )


def _segment(weight: float, pieces: Iterable[_Piece]) -> Segment:
    text = "".join(piece.text or "" for piece in pieces)
    if not math.isfinite(weight):
        raise SamplingError(
            "prompt-weight",
            f"The weight of `{text[:40]}` in the prompt is no finite number.",
            "Use smaller weights or fewer brackets.",
        )
    return Segment(text, weight)


def _number(token: str) -> float | None:
    """The weight in a token like ":1.3)"; None when the token is none."""
    if len(token) < 3 or token[0] != ":":
        return None
    try:
        return float(token[1:-1])
    except ValueError:
        return None


def _unsupported(what: str, hint: str) -> SamplingError:
    return SamplingError("prompt-unsupported", f"The prompt uses {what}, which sdgraph does not know yet.", hint)
