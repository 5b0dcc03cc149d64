"""Near matches for mistyped names, within a budget: comparing thousands of names costs more than it helps."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

_MAX_CANDIDATES = 1_000
_MAX_LETTERS = 64


class Suggestions:
    """Finds what somebody may have meant, for the first problems of a check."""

    def __init__(self, budget: int = 50) -> None:
        self._left = budget

    def nearest(self, word: str, candidates: Iterable[str]) -> str | None:
        """The candidate that looks most like the word, if any looks alike and the budget is not spent."""
        if self._left <= 0 or len(word) > _MAX_LETTERS:
            return None
        self._left -= 1
        return next(iter(get_close_matches(word, list(islice(candidates, _MAX_CANDIDATES)), 1)), None)
