"""The a1111 syntax of weights.

`(x)` weighs 1.1, `[x]` 1/1.1, `(x:1.3)` 1.3, nested weights multiply, a bracket that is never closed reaches to the
end, a backslash makes the next bracket literal, and BREAK begins a new chunk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sdgraph.models.prompt import Section, merged, unsupported

ROUND_WEIGHT = 1.1
SQUARE_WEIGHT = 1 / 1.1

_TOKEN = re.compile(
    r"\\[\\()\[\]]"  # an escaped bracket or backslash
    r"|:\s*[+-]?[.\d]+\s*\)"  # a weight that closes a round bracket
    r"|[()\[\]\\:]"
    r"|[^\\()\[\]:]+"
)
_BREAK = re.compile(r"\bBREAK\b")
_EXTRA_NETWORK = re.compile(r"<(lora|lyco|hypernet):[^<>]+>")


def read_a1111(text: str) -> tuple[Section, ...]:
    """The sections of a prompt without editing, alternation and AND, which are taken apart before.

    Raises SamplingError [prompt-weight], and [prompt-unsupported] for a LoRA named in the prompt.
    """
    if found := _EXTRA_NETWORK.search(text):
        raise unsupported(f"`{found.group()[:40]}`", "Connect a node that applies the LoRA, and remove it here.")
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

    def _sections(self) -> tuple[Section, ...]:
        sections: list[list[tuple[str, float]]] = [[]]
        for piece in self._pieces:
            if piece.text is None:
                sections.append([])
            elif piece.text:
                sections[-1].append((piece.text, piece.weight))
        return tuple(merged(section) for section in sections)


def _number(token: str) -> float | None:
    """The weight in a token like ":1.3)"; None when the token is none."""
    if len(token) < 3 or token[0] != ":":
        return None
    try:
        return float(token[1:-1])
    except ValueError:
        return None
