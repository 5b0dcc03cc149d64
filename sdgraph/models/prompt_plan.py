"""What a prompt is made of: texts that are encoded one by one, and how their vectors are put together.

* a1111: `a AND b :0.6` are several prompts whose predictions are added (Liu et al. 2022, arXiv:2206.01714, equation
  11); each of them may change while sampling (`prompt_editing`).
* compel: `("a", "b").blend(.7, .3)` mixes vectors, `("a", "b").and()` puts them one after the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from sdgraph.errors import SamplingError
from sdgraph.models.prompt import PORT, Syntax, bad_syntax, parse_prompt, require_unicode
from sdgraph.models.prompt_editing import Variant, read_variants

Joining = Literal["add", "blend", "concat"]
"""How parts become one: by their predictions, by the mean of their vectors, or one after the other."""

_AND = re.compile(r"\bAND\b")
_FACTOR = re.compile(r"(.*?)\s*:\s*([-+]?(?:\d+\.?\d*|\.\d+))\s*", re.DOTALL)
_OPERATOR = re.compile(r"\)\s*\.(and|add|blend)\(([^()]*)\)\s*$")
_ITEM = re.compile(r'\s*("(?:\\"|[^"])*")\s*|([^,"]*)', re.DOTALL)
_WEIGHT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")


@dataclass(frozen=True, slots=True)
class Part:
    """One of the prompts in a prompt."""

    factor: float
    variants: tuple[Variant, ...]
    """What it reads in the course of sampling; one at least."""


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """The parts of a prompt, one at least."""

    parts: tuple[Part, ...]
    joining: Joining = "add"
    unread: tuple[str, ...] = ()
    """Texts that no step reads, because they begin at a share of 1 or more of the steps; they are not encoded."""

    @property
    def is_one_text(self) -> bool:
        """Whether one text says it all: nothing changes, nothing is joined."""
        return len(self.parts) == 1 and self.parts[0].factor == 1 and len(self.parts[0].variants) == 1

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts to encode, each once, in the order in which they occur."""
        return tuple(dict.fromkeys(variant.text for part in self.parts for variant in part.variants))


def plan_prompt(text: str, syntax: Syntax = "a1111") -> PromptPlan:
    """What a prompt is made of. Reads every text, so that all that is wrong with it comes out here.

    Raises SamplingError [prompt-weight], [prompt-unsupported], [prompt-syntax], [prompt-variants], [text-not-unicode].
    """
    require_unicode(text)
    match syntax:
        case "a1111":
            plan = _with_and(text)
        case "compel":
            plan = _with_operator(text)
        case _:
            plan = _one(text)
    for found in plan.texts:
        if plan.is_one_text or syntax != "compel":
            parse_prompt(found, syntax)
    return plan


def _one(text: str, factor: float = 1.0) -> PromptPlan:
    return PromptPlan((Part(factor, (Variant(text),)),))


def _with_and(text: str) -> PromptPlan:
    terms = _AND.split(text)
    found = [(1.0, text)] if len(terms) == 1 else [_term(term) for term in terms]
    parts = [Part(factor, read_variants(term)) for factor, term in found]
    unread = [variant.text for part in parts for variant in part.variants if not _is_read(variant)]
    read = [Part(part.factor, tuple(filter(_is_read, part.variants))) for part in parts]
    return PromptPlan(tuple(read), "add", tuple(unread))


def _term(text: str) -> tuple[float, str]:
    match = _FACTOR.fullmatch(text)
    return (1.0, text.strip()) if match is None else (float(match.group(2)), match.group(1).strip())


def _is_read(variant: Variant) -> bool:
    """Whether a step may come at which a prompt reads so."""
    if not variant.windows:
        return True
    return any(window.after_share is None or window.after_share < 1 for window in variant.windows)


def _with_operator(text: str) -> PromptPlan:
    operator = _OPERATOR.search(text)
    if operator is None or not text.lstrip().startswith("("):
        return _one(text)
    name = operator.group(1)
    texts = _items(text.lstrip()[1 : operator.start() - (len(text) - len(text.lstrip()))])
    if texts is None:
        return _one(text)
    options = [option.strip() for option in operator.group(2).split(",") if option.strip()]
    normalized = not (name == "blend" and options[-1:] == ["no_normalize"])
    factors = _factors(name, options if normalized else options[:-1], len(texts))
    joining: Joining = "blend" if name == "blend" else "concat"
    if joining == "blend" and normalized:
        factors = _shares(factors)
    for found in texts:
        plan_prompt(found, "compel")
    parts = tuple(Part(factor, (Variant(found),)) for factor, found in zip(factors, texts, strict=True))
    return PromptPlan(parts, joining)


def _items(inside: str) -> list[str] | None:
    """The prompts between the brackets of an operator; None where it is no list of prompts."""
    found: list[str] = []
    at = 0
    while True:
        match = _ITEM.match(inside, at)
        if match is None:
            return None
        quoted, plain = match.groups()
        found.append(quoted[1:-1].replace('\\"', '"') if quoted is not None else plain.strip())
        at = match.end()
        if at == len(inside):
            return found
        if inside[at] != ",":
            return None
        at += 1


def _factors(name: str, options: list[str], count: int) -> list[float]:
    if not options:
        return [1.0] * count
    if len(options) != count or not all(_WEIGHT.fullmatch(option) for option in options):
        raise bad_syntax(
            f"`.{name}({', '.join(options)[:40]})` does not give one weight for each of its {count} prompts.",
            "Write as many numbers as prompts, or none.",
        )
    return [float(option) for option in options]


def _shares(factors: list[float]) -> list[float]:
    total = sum(factors)
    if total == 0:
        raise SamplingError(
            "prompt-weight",
            "The weights of `.blend()` sum to 0, so they can't be normalised.",
            "Add `no_normalize` behind them, or change one.",
            port=PORT,
        )
    return [factor / total for factor in factors]
