"""From segments of a prompt to tokens with weights, embeddings (textual inversions) included.

`embedding:NAME` stands for an embedding in every syntax but `plain`; in a1111 and compel a bare NAME does too. Names
are compared without regard to case, as tokenizers read text. An embedding of several vectors takes as many tokens, all
of the weight that is written around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from sdgraph.errors import SamplingError
from sdgraph.models.chunks import Weighted
from sdgraph.models.prompt import PORT, Section, Syntax, parse_prompt

_NAMED = re.compile(r"\bembedding:([\w<>*.+-]+)", re.IGNORECASE)

Words = Mapping[str, tuple[int, ...]]
"""The embeddings of a text encoder by name, and the token ids of each in one of its text models; there may be none."""


def tokens_of(section: Section, tokenizer: Any, words: Words, syntax: Syntax) -> list[Weighted]:
    """The tokens of a section, each with its weight.

    Raises SamplingError [prompt-embedding] for `embedding:NAME` of a name that is not in `words`.
    """
    pieces = [(piece, segment.weight) for segment in section for piece in split_words(segment.text, words, syntax)]
    texts = [piece for piece, _ in pieces if isinstance(piece, str)]
    # verbose=False: a long prompt is cut into chunks later, so the tokenizer's warning would be wrong.
    found = iter(tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"] if texts else ())
    return [(token, weight) for piece, weight in pieces for token in (next(found) if isinstance(piece, str) else piece)]


def split_words(text: str, words: Words, syntax: Syntax) -> list[str | tuple[int, ...]]:
    """A text as pieces of text, and the token ids of embeddings between them. Raises as `tokens_of`."""
    if syntax == "plain" or not (words or _NAMED.search(text)):
        return [text]
    known = {name.casefold(): ids for name, ids in words.items()}
    pieces: list[str | tuple[int, ...]] = []
    at = 0
    for match in _pattern(known, bare=syntax != "comfy").finditer(text):
        name = match.group("named") or match.group()
        found = _longest_known(name.casefold(), known) if match.group("named") else name.casefold()
        if found is None:
            raise _missing(name, words)
        pieces += [text[at : match.start()], known[found]]
        at = match.end() - (len(name) - len(found))
    pieces.append(text[at:])
    return [piece for piece in pieces if piece]


def require_words(texts: Iterable[str], names: Iterable[str], syntax: Syntax) -> None:
    """Raises SamplingError [prompt-embedding] for `embedding:NAME` in texts where NAME is none of `names`."""
    known: Words = dict.fromkeys(names, ())
    for text in texts:
        for segment in chain.from_iterable(parse_prompt(text, syntax)):
            split_words(segment.text, known, syntax)


def _pattern(known: Iterable[str], *, bare: bool) -> re.Pattern[str]:
    named = r"\bembedding:(?P<named>[\w<>*.+-]+)"
    names = [re.escape(name) for name in sorted(known, key=len, reverse=True)] if bare else []
    alone = [rf"(?<![\w])(?:{'|'.join(names)})(?![\w])"] if names else []
    return re.compile("|".join([named, *alone]), re.IGNORECASE)


def _longest_known(name: str, known: Mapping[str, tuple[int, ...]]) -> str | None:
    """The name, or what is left of it without punctuation at its end."""
    while name and name not in known:
        if name[-1].isalnum() or name[-1] in "_>":
            return None
        name = name[:-1]
    return name or None


def _missing(name: str, words: Words) -> SamplingError:
    have = ", ".join(f"`{known}`" for known in sorted(words)) or "none"
    return SamplingError(
        "prompt-embedding",
        f"The prompt uses the embedding `{name[:64]}`, which the text encoder does not have. It has: {have[:200]}.",
        "Load it with a node that adds embeddings to the text encoder, or correct its name.",
        port=PORT,
    )
