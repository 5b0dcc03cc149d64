"""Prompt syntax: from text to segments with weights.

Four syntaxes, each a reader in a file of its own: `a1111`, `comfy`, `compel`, and `plain`, which takes every character
as it is. What changes over the steps of sampling, and what is several prompts in one, is taken apart before
(`sdgraph.models.prompt_plan`); here a text means the same from the first step to the last.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from sdgraph.errors import SamplingError

Syntax = Literal["a1111", "comfy", "compel", "plain"]
Normalize = Literal["none", "mean_per_prompt"]

PORT = "prompt"
"""The port that a prompt's errors are shown at."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a prompt and its weight."""

    text: str
    weight: float = 1.0


Section = tuple[Segment, ...]
"""What stands between two BREAKs. There may be nothing."""


def parse_prompt(text: str, syntax: Syntax = "a1111") -> tuple[Section, ...]:
    """The prompt's sections, one at least; neighbours of equal weight are one segment.

    Raises SamplingError: [prompt-weight] for a weight that is no finite number, [prompt-unsupported] for what the
    syntax has and sdgraph has not, [text-not-unicode] for half a character.
    """
    from sdgraph.models.prompt_a1111 import read_a1111
    from sdgraph.models.prompt_comfy import read_comfy
    from sdgraph.models.prompt_compel import read_compel

    require_unicode(text)
    match syntax:
        case "plain":
            return ((Segment(text),) if text else (),)
        case "a1111":
            return read_a1111(text)
        case "comfy":
            return (read_comfy(text),)
        case "compel":
            return (read_compel(text),)


def merged(pieces: Iterable[tuple[str, float]], between: str = "") -> Section:
    """Pieces (text, weight) as segments, neighbours of equal weight joined. Raises SamplingError [prompt-weight]."""
    return tuple(
        _segment(between.join(text for text, _ in group), weight)
        for weight, group in groupby(pieces, lambda piece: piece[1])
    )


def require_unicode(text: str) -> None:
    """Raises SamplingError [text-not-unicode] for a lone surrogate, which no tokenizer can read."""
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise SamplingError(
            "text-not-unicode",
            f"The prompt {text[:60]!a} has half a character (a lone surrogate).",
            "Write the character in full.",
            port=PORT,
        )


def unsupported(what: str, hint: str) -> SamplingError:
    """The error for a construct of a syntax that sdgraph does not have; `what` names it."""
    return SamplingError("prompt-unsupported", f"The prompt uses {what}, which sdgraph does not have.", hint, port=PORT)


def bad_syntax(message: str, hint: str) -> SamplingError:
    """The error for a construct that is not written as its syntax wants."""
    return SamplingError("prompt-syntax", message, hint, port=PORT)


def _segment(text: str, weight: float) -> Segment:
    if not math.isfinite(weight):
        raise SamplingError(
            "prompt-weight",
            f"The weight of `{text[:40]}` in the prompt is no finite number.",
            "Use smaller weights or fewer brackets.",
            port=PORT,
        )
    return Segment(text, weight)
