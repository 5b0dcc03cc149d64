"""The comfy syntax of weights, as ComfyUI reads it.

`(x)` multiplies the weight around it by 1.1; `(x:1.3)` sets it to 1.3 whatever stands around; square brackets are
text; a backslash makes a round bracket literal. A bracket that is never closed makes the rest text.
"""

from __future__ import annotations

from dataclasses import dataclass

from sdgraph.models.prompt import Section, merged

BRACKET_WEIGHT = 1.1


@dataclass(slots=True)
class _Group:
    """A bracket that closes, from `(` to `)`."""

    end: int
    """Where its `)` stands."""
    text_end: int
    """Where its text ends: before the `:` of a weight, or at the `)`."""
    weight: float | None


def read_comfy(text: str) -> Section:
    """The segments of a prompt. Raises SamplingError [prompt-weight]."""
    letters, escaped = _unescaped(text)
    groups = _groups(letters, escaped)
    pieces: list[tuple[str, float]] = []
    opened: list[tuple[_Group, float]] = []
    weight, start = 1.0, 0

    def add(until: int) -> None:
        if until > start:
            pieces.append((letters[start:until], weight))

    for at in range(len(letters)):
        if (group := groups.get(at)) is not None:
            add(at)
            opened.append((group, weight))
            weight = weight * BRACKET_WEIGHT if group.weight is None else group.weight
            start = at + 1
        elif opened and at == opened[-1][0].end:
            group, outer = opened.pop()
            add(group.text_end)
            weight, start = outer, at + 1
    add(len(letters))
    return merged(pieces)


def _unescaped(text: str) -> tuple[str, frozenset[int]]:
    r"""The text with `\(` and `\)` as single brackets, and where these stand."""
    letters: list[str] = []
    escaped: list[int] = []
    at = 0
    while at < len(text):
        if text[at] == "\\" and text[at + 1 : at + 2] in ("(", ")"):
            at += 1
            escaped.append(len(letters))
        letters.append(text[at])
        at += 1
    return "".join(letters), frozenset(escaped)


def _groups(letters: str, escaped: frozenset[int]) -> dict[int, _Group]:
    """The brackets that close, by where they open. A `)` too many makes the next `(` text, as in ComfyUI."""
    groups: dict[int, _Group] = {}
    waiting: dict[int, _Group] = {}
    opened: list[int] = []
    depth = 0
    last = -1  # the bracket before: no weight reaches back over one
    for at, letter in enumerate(letters):
        if at in escaped or letter not in "()":
            continue
        if letter == "(":
            depth += 1
            if depth > 0:
                opened.append(at)
        else:
            depth -= 1
            if opened:
                begin = opened.pop()
                waiting[begin] = _group(letters, begin, at, max(last, begin))
            if depth == 0:  # only the outermost bracket says that those inside count
                groups |= waiting
                waiting = {}
        last = at
    return groups


def _group(letters: str, begin: int, end: int, last: int) -> _Group:
    colon = letters.rfind(":", last + 1, end)
    if colon > begin + 1:
        try:
            return _Group(end, colon, float(letters[colon + 1 : end]))
        except ValueError:
            pass
    return _Group(end, end, None)
