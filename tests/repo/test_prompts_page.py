"""The tables of the page about prompts are what the parsers make of these prompts."""

from __future__ import annotations

import re

import pytest

from sdgraph.models.prompt import Syntax, parse_prompt
from sdgraph.models.prompt_editing import MAX_STATES
from sdgraph.models.prompt_plan import PromptPlan, plan_prompt
from tests.repo.project import text_of

PAGE = "docs/guide/prompts.md"
SYNTAXES: tuple[Syntax, ...] = ("a1111", "comfy", "compel")


def rows() -> list[list[str]]:
    """The cells of the golden table, without the escapes of Markdown."""
    table = text_of(PAGE).split("| Prompt | `a1111` |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]


def written(text: str, syntax: Syntax) -> str:
    """A prompt as the table shows it."""
    plan = plan_prompt(text, syntax)
    if plan.is_one_text:
        return ", new chunk, ".join(
            " ".join(
                f"`{segment.text.strip()}`" + (f" {round(segment.weight, 3):g}" if segment.weight != 1 else "")
                for segment in section
            )
            for section in parse_prompt(plan.texts[0], syntax)
        )
    return _parts(plan) if len(plan.parts) > 1 else _texts(plan)


def _texts(plan: PromptPlan) -> str:
    return ", then ".join(f"`{text}`" if text else "nothing" for text in plan.texts)


def _parts(plan: PromptPlan) -> str:
    return " and ".join(
        f"`{part.variants[0].text}`" + (f" times {part.factor:g}" if part.factor != 1 else "") for part in plan.parts
    )


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_the_golden_table_shows_what_each_syntax_reads(row: list[str]) -> None:
    text = row[0].strip("`")
    assert row[1:] == [written(text, syntax) for syntax in SYNTAXES]


def test_the_page_names_the_limit_of_states() -> None:
    assert f"more than {MAX_STATES} states" in text_of(PAGE)
