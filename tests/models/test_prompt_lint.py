from __future__ import annotations

from typing import Any

import pytest

from sdgraph.models.checkpoint import Checkpoint
from sdgraph.models.load import load_tokenizers
from sdgraph.models.prompt_lint import WeightGroup, lint_prompt, placeholder_words
from sdgraph.models.towers import LoadedTower


@pytest.fixture
def tower(tiny: Checkpoint) -> LoadedTower:
    return load_tokenizers(tiny.text_encoder)[0]


def token_count(text: str, tower: LoadedTower) -> int:
    return len(tower.tokenizer([text], add_special_tokens=False)["input_ids"][0])


def one(prompt: str, tower: LoadedTower, **options: Any) -> Any:
    (report,) = lint_prompt(prompt, tower, **options)
    return report


def test_a_prompt_of_78_tokens_has_two_chunks_and_shows_what_would_be_cut(tower: LoadedTower) -> None:
    words = "a " * 76 + "b c"
    assert token_count(words, tower) == 78
    report = one(words, tower)
    assert (report.tokens, report.chunk_tokens, report.room) == (78, (75, 3), 75)
    assert report.beyond_first == "a b c"
    assert "78 tokens in 2 chunks of 75 (75, 3)" in report.lines()[0]


def test_a_short_prompt_has_nothing_beyond_its_chunk(tower: LoadedTower) -> None:
    assert one("a red star", tower).beyond_first == ""
    assert one("", tower).chunk_tokens == (0,)


def test_tokens_are_counted_for_each_weight(tower: LoadedTower) -> None:
    groups = one("a (red:1.3) b", tower).groups
    assert [group.weight for group in groups] == [1.0, 1.3, 1.0]
    assert groups[1] == WeightGroup("red", 1.3, token_count("red", tower))
    assert sum(group.tokens for group in groups) == one("a (red:1.3) b", tower).tokens


def test_phrases_that_occur_twice_are_named(tower: LoadedTower) -> None:
    assert one("a star, red,  A Star , blue", tower).repeated == ("a star",)


def test_each_text_of_an_edited_prompt_has_a_report(tower: LoadedTower) -> None:
    reports = lint_prompt("a [red:blue:0.5] star AND b", tower)
    assert [report.text for report in reports] == ["a red star", "a blue star", "b"]


def test_break_begins_a_chunk_and_plain_text_has_none(tower: LoadedTower) -> None:
    assert len(one("a BREAK b", tower).chunk_tokens) == 2
    assert len(one("a BREAK b", tower, syntax="plain").chunk_tokens) == 1


def test_embeddings_count_as_many_tokens_as_they_have_vectors(tower: LoadedTower) -> None:
    report = one("a glow", tower, words=placeholder_words({"glow": 3}))
    assert report.tokens == token_count("a", tower) + 3
    assert report.groups[0].text == "a glow"
