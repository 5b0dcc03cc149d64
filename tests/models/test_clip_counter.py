"""The counter counts what the tokenizer of the text models counts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdgraph.models.clip_counter import count_clip_tokens
from sdgraph.models.clip_vocabulary import clip_tokenizer

TEXTS = [
    "",
    "a photo of a cat",
    "  Two\t  spaces\n and 'it's don't  ",
    "naïve café ﬁne Å Å 你好 🐝🐝 1234 3.14",
    "<|endoftext|> in the middle <|startoftext|>x",
    "Supercalifragilisticexpialidocious, 8k!!! (masterpiece:1.2)",
]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_have_as_many_tokens_as_the_text_model_reads(text: str) -> None:
    assert count_clip_tokens(text) == len(clip_tokenizer()(text, add_special_tokens=False)["input_ids"])


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=40), min_size=20, max_size=20))
@settings(max_examples=10, deadline=None)
def test_any_text_does(texts: list[str]) -> None:
    expected = [len(ids) for ids in _REFERENCE(texts, add_special_tokens=False)["input_ids"]]
    assert [count_clip_tokens(text) for text in texts] == expected


_REFERENCE = clip_tokenizer()
