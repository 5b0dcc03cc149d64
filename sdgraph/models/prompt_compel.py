"""The compel syntax of weights, as compel (InvokeAI) reads it.

`word+` weighs 1.1, `word-` 0.9, more signs multiply; `(some words)1.3`, `(some words)++` and `(some words).attend(1.3)`
weigh a group, quotes work like brackets, and weights multiply inwards. Brackets without a weight group nothing. What
can't be read as syntax is text, from there to the next space.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sdgraph.models.prompt import Section, merged, unsupported

PLUS, MINUS = 1.1, 0.9

_SPACE = re.compile(r"\s*")
_WORD = re.compile(
    r"""(?:\\[()",.+\-=]"""  # an escaped sign
    r"""|[+-](?![\s()",.+\-=]|$)"""  # a sign inside a word
    r"""|[^\s()",.+\-=])+"""
)
_FREE_WORD = re.compile(r"\S+")
_QUOTED = re.compile(r'"((?:\\"|[^"\n])*)"')
_SIGNS = re.compile(r"\++|-+")
_NUMBER = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+)|-?\d+")
_ATTEND = re.compile(r"\.attend\(\s*(\++|-+|[+-]?(?:\d+\.\d*|\.\d+)|-?\d+)\s*\)")
_REFUSED = re.compile(r"\.swap\(|\b(?:useLora|withLora)\(")
_ESCAPED = re.compile(r'\\([()"])')

Fragment = tuple[str, float]


def read_compel(text: str) -> Section:
    """The segments of a prompt without `.and()` and `.blend()`, which are taken apart before.

    Raises SamplingError [prompt-weight], and [prompt-unsupported] for `.swap()`, which needs attention control, and for
    LoRAs named in the prompt.
    """
    if found := _REFUSED.search(text):
        what = found.group().strip(".(")
        raise unsupported(f"compel's `{what}`", "Use the a1111 syntax `[from:to:when]`, or a node, for it.")
    return merged(((_plain(part), weight) for part, weight in _Reader(text).prompt()), between=" ")


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


@dataclass(slots=True)
class _Open:
    """A bracket that is not closed yet."""

    start: int
    fragments: list[Fragment]


class _Reader:
    """Reads left to right; brackets are kept on a list, so depth costs nothing."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._broken: set[int] = set()
        """Brackets that are known not to close: text."""

    def prompt(self) -> list[Fragment]:
        """The fragments of a whole prompt, where what is no syntax is text."""
        found: list[Fragment] = []
        at = self._skip(0)
        while at < len(self._text):
            item = self._item(at)
            if item is None:
                word = self._match(_FREE_WORD, at)
                found.append((word, 1.0))
                at += len(word)
            else:
                fragments, at = item
                found.extend(fragments)
            at = self._skip(at)
        return found

    def fragment(self) -> list[Fragment] | None:
        """The fragments of a quoted text, where all must be syntax; None when it is not."""
        return self._sequence(0, [])

    def _item(self, at: int) -> tuple[list[Fragment], int] | None:
        """What begins at `at` outside all brackets: a weighted word, a quoted text or a bracket."""
        letter = self._text[at]
        if letter == "(":
            return None if at in self._broken else self._bracket(at)
        if letter == '"':
            return self._quoted(at)
        word = self._match(_WORD, at)
        if not word:
            return None
        weight, end = self._weight(at + len(word), numbers=False)
        return None if weight is None else ([(word, weight)], end)

    def _bracket(self, at: int) -> tuple[list[Fragment], int] | None:
        stack = [_Open(at, [])]
        at = self._skip(at + 1)
        while at < len(self._text):
            letter = self._text[at]
            if letter == ")":
                closed = stack.pop()
                weight, at = self._weight(at + 1, numbers=True)
                scaled = _scaled(closed.fragments, weight)
                if not stack:
                    return scaled, at
                stack[-1].fragments.extend(scaled)
            elif letter == "(":
                stack.append(_Open(at, []))
                at += 1
            else:
                part = self._part(at)
                if part is None:
                    break
                stack[-1].fragments.extend(part[0])
                at = part[1]
            at = self._skip(at)
        self._broken.update(opened.start for opened in stack)
        return None

    def _sequence(self, at: int, found: list[Fragment]) -> list[Fragment] | None:
        at = self._skip(at)
        while at < len(self._text):
            item = self._bracket(at) if self._text[at] == "(" else self._part(at)
            if item is None:
                return None
            found.extend(item[0])
            at = self._skip(item[1])
        return found

    def _part(self, at: int) -> tuple[list[Fragment], int] | None:
        """A part inside brackets or quotes: a quoted text, a word, a comma or a full stop."""
        if self._text[at] == '"':
            return self._quoted(at)
        if self._text[at] in ",.":
            return [(self._text[at], 1.0)], at + 1
        word = self._match(_WORD, at)
        if not word:
            return None
        weight, end = self._weight(at + len(word), numbers=False)
        return [(word, 1.0 if weight is None else weight)], end

    def _quoted(self, at: int) -> tuple[list[Fragment], int] | None:
        match = _QUOTED.match(self._text, at)
        if match is None:
            return None
        inner = _Reader(match.group(1)).fragment()
        if inner is None:
            return None
        weight, end = self._weight(match.end(), numbers=True)
        return _scaled(inner, weight), end

    def _weight(self, at: int, *, numbers: bool) -> tuple[float | None, int]:
        """The weight that stands at `at`, and where it ends."""
        if match := _ATTEND.match(self._text, at):
            return _value(match.group(1)), match.end()
        match = _SIGNS.match(self._text, at) or (_NUMBER.match(self._text, at) if numbers else None)
        return (None, at) if match is None else (_value(match.group()), match.end())

    def _match(self, pattern: re.Pattern[str], at: int) -> str:
        match = pattern.match(self._text, at)
        return match.group() if match else ""

    def _skip(self, at: int) -> int:
        match = _SPACE.match(self._text, at)
        return match.end() if match else at


def _value(text: str) -> float:
    if text.strip("+") == "":
        return _power(PLUS, len(text))
    if text.strip("-") == "":
        return _power(MINUS, len(text))
    return float(text)


def _power(base: float, times: int) -> float:
    try:
        return base**times
    except OverflowError:
        return float("inf")  # reported as no finite number


def _scaled(fragments: list[Fragment], weight: float | None) -> list[Fragment]:
    return fragments if weight is None else [(text, inner * weight) for text, inner in fragments]
