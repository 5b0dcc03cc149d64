"""Prompt editing: texts that change while sampling, in the a1111 syntax.

`[from:to:when]` is `from` up to and including step `when`, then `to`; `[from::when]` and `[to:when]` leave one side
out. `when` is a share of the steps where it has a decimal point, a step where it has none. `[a|b|c]` takes the next one
at every step. All of them nest, and weights around and inside them stay as they are written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple, TypeVar

from sdgraph.errors import SamplingError
from sdgraph.models.prompt import PORT
from sdgraph.models.prompt_a1111 import SQUARE_WEIGHT
from sdgraph.payloads.step_window import StepWindow

MAX_STATES = 512
"""States that a prompt may go through; an alternation of 3 inside a switch has 6."""

N = TypeVar("N", int, float)

_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")


class Variant(NamedTuple):
    """A text, and the steps at which the prompt reads so; no windows: all of them."""

    text: str
    windows: tuple[StepWindow, ...] = ()


@dataclass(frozen=True, slots=True)
class When:
    """The last step of what comes before."""

    number: float
    is_share: bool


@dataclass(frozen=True, slots=True)
class _Edit:
    before: list[_Item]
    after: list[_Item]
    when: When


@dataclass(frozen=True, slots=True)
class _Turns:
    options: list[list[_Item]]


@dataclass(frozen=True, slots=True)
class _Square:
    """Square brackets that only weigh, around something that changes."""

    content: list[_Item]


_Changing = _Edit | _Turns | _Square
_Item = str | int
"""Text, or the number of a changing part."""


def read_variants(text: str) -> tuple[Variant, ...]:
    """The texts that a prompt goes through, in the order of their first step.

    A prompt that does not change is one variant without windows. Raises SamplingError [prompt-variants] for one that
    changes in more ways than `MAX_STATES`.
    """
    parts, content = _Reader().read(text)
    if not any(isinstance(part, _Edit | _Turns) for part in parts):
        return (Variant(text),)
    found: dict[str, list[StepWindow]] = {}
    for states in _phases(parts):
        texts = [_render(parts, content, state) for state in states]
        if len(set(texts)) == 1:  # nobody's turn makes a difference
            texts, states = texts[:1], [states[0]._replace(window=_every_turn(states[0].window))]
        for rendered, state in zip(texts, states, strict=True):
            found.setdefault(rendered, []).append(state.window)
    return tuple(Variant(rendered, _simple(windows)) for rendered, windows in found.items())


def _every_turn(window: StepWindow) -> StepWindow:
    return window.model_copy(update={"turn": 0, "turns": 1})


def _simple(windows: list[StepWindow]) -> tuple[StepWindow, ...]:
    """No windows where one of them is open on all sides."""
    return () if StepWindow() in windows else tuple(windows)


class _State(NamedTuple):
    """What has been passed, and whose turn it is."""

    share: float
    """Switches at this share or before are done."""
    step: float
    turn: int
    window: StepWindow


def _phases(parts: Sequence[_Changing]) -> Iterator[list[_State]]:
    """The states between two switches, one per turn of the alternations."""
    switches = [part.when for part in parts if isinstance(part, _Edit)]
    shares = sorted({when.number for when in switches if when.is_share and when.number > 0})
    steps = sorted({int(when.number) for when in switches if not when.is_share and when.number > 0})
    turns = math.lcm(*(len(part.options) for part in parts if isinstance(part, _Turns)))
    if (count := (len(shares) + 1) * (len(steps) + 1) * turns) > MAX_STATES:
        raise SamplingError(
            "prompt-variants",
            f"The prompt goes through {count:,} states while sampling, at most {MAX_STATES} are read.",
            "Use fewer switches, or alternations of lengths that share a factor.",
            port=PORT,
        )
    for after_step, until_step in _spans(steps):
        for after_share, until_share in _spans(shares):
            yield [
                _State(
                    0.0 if after_share is None else after_share,
                    0 if after_step is None else after_step,
                    turn,
                    StepWindow(
                        after_share=after_share,
                        until_share=until_share,
                        after_step=after_step,
                        until_step=until_step,
                        turn=turn,
                        turns=turns,
                    ),
                )
                for turn in range(turns)
            ]


def _spans(bounds: Sequence[N]) -> Iterator[tuple[N | None, N | None]]:
    yield from zip((None, *bounds), (*bounds, None), strict=True)


def _render(parts: Sequence[_Changing], content: Sequence[_Item], state: _State) -> str:
    """The prompt as it reads in a state. Parts stand after those inside them, so one pass is enough."""
    texts: list[str] = []

    def joined(items: Sequence[_Item]) -> str:
        return "".join(item if isinstance(item, str) else texts[item] for item in items)

    for part in parts:
        match part:
            case _Edit(before, after, when):
                done = when.number <= (state.share if when.is_share else state.step)
                texts.append(joined(after if done else before))
            case _Turns(options):
                texts.append(joined(options[state.turn % len(options)]))
            case _Square(inner):
                # Round brackets of the same weight: what has been put in must not be read as editing again.
                texts.append(f"({joined(inner)}:{SQUARE_WEIGHT!r})")
    return joined(content)


class _Separator(NamedTuple):
    sign: str


@dataclass(slots=True)
class _Frame:
    """A bracket that is open, and what it holds so far; `bracket` is empty for the whole prompt."""

    bracket: str
    content: list[str | int | _Separator] = field(default_factory=list)

    def literal(self) -> list[_Item]:
        """The content with separators as text."""
        return _literal(self.content)


_TOKEN = re.compile(r"\\.|[\[\]()|:]|[^\\\[\]()|:]+|\\", re.DOTALL)


class _Reader:
    """Reads left to right with a stack of open brackets."""

    def __init__(self) -> None:
        self._parts: list[_Changing] = []
        self._stack = [_Frame("")]
        self._open_squares = 0

    def read(self, text: str) -> tuple[list[_Changing], list[_Item]]:
        """The changing parts, inner ones first, and the prompt in terms of them."""
        for match in _TOKEN.finditer(text):
            self._take(match.group())
        while len(self._stack) > 1:
            self._reopen()
        return self._parts, self._stack[0].literal()

    def _take(self, token: str) -> None:
        top = self._stack[-1]
        if token in ("[", "("):
            self._stack.append(_Frame(token))
            self._open_squares += token == "["
        elif token == ")" and top.bracket == "(":
            self._stack.pop()
            self._stack[-1].content += _literal(["(", *top.content, ")"])
        elif token == "]" and self._open_squares:
            self._close_square()
        elif token in ("|", ":"):
            top.content.append(_Separator(token))
        else:
            top.content.append(token)

    def _close_square(self) -> None:
        while self._stack[-1].bracket != "[":
            self._reopen()
        frame = self._stack.pop()
        self._open_squares -= 1
        self._stack[-1].content += self._square(frame)

    def _reopen(self) -> None:
        """A bracket that never closes is text; what stands in it belongs to the bracket around."""
        frame = self._stack.pop()
        inside = frame.content if frame.bracket == "(" else frame.literal()
        self._stack[-1].content += [frame.bracket, *inside]

    def _square(self, frame: _Frame) -> list[_Item]:
        options = _split(frame.content, "|")
        if len(options) > 1:
            return [self._part(_Turns([_literal(option) for option in options]))]
        fields = [_literal(found) for found in _split(frame.content, ":")]
        when = _when(fields[-1]) if len(fields) in (2, 3) else None
        if when is not None:
            before = fields[0] if len(fields) == 3 else []
            return [self._part(_Edit(before, fields[-2], when))]
        content = frame.literal()
        if any(isinstance(item, int) for item in content):
            return [self._part(_Square(content))]
        return _literal(["[", *content, "]"])

    def _part(self, part: _Changing) -> int:
        self._parts.append(part)
        return len(self._parts) - 1


def _split(content: Sequence[str | int | _Separator], sign: str) -> list[list[str | int | _Separator]]:
    groups: list[list[str | int | _Separator]] = [[]]
    for item in content:
        if isinstance(item, _Separator) and item.sign == sign:
            groups.append([])
        else:
            groups[-1].append(item)
    return groups


def _literal(content: Sequence[str | int | _Separator]) -> list[_Item]:
    """The content with separators as text, in as few pieces as possible."""
    items = (item.sign if isinstance(item, _Separator) else item for item in content)
    pieces: list[_Item] = []
    for is_text, group in groupby(items, lambda item: isinstance(item, str)):
        found = list(group)
        pieces += ["".join(map(str, found))] if is_text else found
    return pieces


def _when(content: Sequence[_Item]) -> When | None:
    """The `when` that a field says, None where it is none."""
    text = "".join(item if isinstance(item, str) else "[" for item in content)
    match = _NUMBER.fullmatch(text)
    if match is None or not math.isfinite(number := float(match.group(1))):
        return None
    return When(number, is_share="." in match.group(1) or abs(number) < 1)
