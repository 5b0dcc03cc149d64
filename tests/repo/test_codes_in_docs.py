"""Every code that a user can meet is explained in the guide, and the guide explains nothing else."""

from __future__ import annotations

import re

from tests.repo.codes import error_codes, reason_codes
from tests.repo.project import text_of


def rows(page: str) -> dict[str, list[str]]:
    """The rows of a page's tables that begin with a code, as its other cells."""
    lines = re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", text_of(page), re.MULTILINE)
    assert len(lines) == len(dict(lines)), "a code is explained twice"
    return {code: rest.split(" | ") for code, rest in lines}


def test_every_error_code_is_explained() -> None:
    assert error_codes() - rows("docs/guide/errors.md").keys() == set()


def test_every_explained_error_code_occurs_in_the_source() -> None:
    assert rows("docs/guide/errors.md").keys() - error_codes() == set()


def test_every_error_has_a_meaning_and_something_to_do() -> None:
    for code, cells in rows("docs/guide/errors.md").items():
        assert len(cells) == 2, code
        assert all(cell.endswith(".") for cell in cells), code


def test_the_reasons_of_a_plan_are_explained() -> None:
    assert rows("docs/guide/cache.md").keys() == reason_codes()
