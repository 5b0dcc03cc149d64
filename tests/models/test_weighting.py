"""Weights against the rules of ComfyUI and compel, worked out here from the text model itself."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from sdgraph.errors import SamplingError
from sdgraph.models.checkpoint import Checkpoint
from sdgraph.models.chunks import ChunkFormat, make_chunks
from sdgraph.models.pool import ModelPool
from sdgraph.models.prompt import Syntax
from sdgraph.models.prompt_words import split_words
from sdgraph.models.text import encode_prompt, encode_text
from sdgraph.models.towers import TextModel
from sdgraph.models.words import set_words
from sdgraph.payloads.conditioning import CONDITIONING
from sdgraph.payloads.step_window import StepWindow


@pytest.fixture
def model(tiny: Checkpoint, pool: ModelPool) -> Generator[TextModel]:
    with pool.lease(tiny.text_encoder) as leased:
        yield leased


def embedding(text: str, model: TextModel, syntax: Syntax = "a1111", **options: Any) -> Tensor:
    return encode_prompt(text, model, syntax=syntax, **options).entries[0].embedding


def hidden(text: str, model: TextModel, masked: Sequence[int] = ()) -> Tensor:
    """The text model's own answer to a padded text, in which the tokens at the places in `masked` are not seen."""
    tokens = model.tokenizer([text], padding="max_length", max_length=77, return_tensors="pt").input_ids
    seen = torch.ones_like(tokens)
    seen[:, list(masked)] = 0
    with torch.no_grad():
        return model.encoder(tokens, attention_mask=seen if masked else None)[0]


def places(text: str, word: str, model: TextModel) -> list[int]:
    """Where the tokens of a word stand in a text, the start token being at 0."""
    before = model.tokenizer([text[: text.index(word)]], add_special_tokens=False).input_ids[0]
    own = model.tokenizer([word], add_special_tokens=False).input_ids[0]
    return list(range(len(before) + 1, len(before) + 1 + len(own)))


@pytest.mark.parametrize(
    ("syntax", "text"), [("a1111", "(a red:1.0) star"), ("comfy", "(a red:1.0) star"), ("compel", "(a red)1.0 star")]
)
def test_weights_of_one_are_no_weights_in_any_syntax(syntax: Syntax, text: str, model: TextModel) -> None:
    assert torch.equal(embedding(text, model, syntax), embedding("a red star", model, "plain"))
    assert torch.equal(embedding("a red star", model, syntax), embedding("a red star", model, "plain"))


@pytest.mark.parametrize("weight", [1.4, 0.5, 0.0, -1.0])
def test_comfy_moves_vectors_away_from_those_of_an_empty_prompt(weight: float, model: TextModel) -> None:
    full, empty = hidden("a red star", model), hidden("", model)
    red = places("a red star", "red", model)
    expected = full.clone()
    expected[:, red] = empty[:, red] + weight * (full[:, red] - empty[:, red])
    assert torch.allclose(embedding(f"a (red:{weight}) star", model, "comfy"), expected, atol=1e-6)


def test_comfy_leaves_vectors_of_weight_one_bit_for_bit(model: TextModel) -> None:
    found, full = embedding("a (red:1.3) star", model, "comfy"), embedding("a red star", model)
    others = [place for place in range(77) if place not in places("a red star", "red", model)]
    assert torch.equal(found[:, others], full[:, others])


def test_compel_weighs_up_as_comfy_does(model: TextModel) -> None:
    assert torch.equal(embedding("a (red)1.5 star", model, "compel"), embedding("a (red:1.5) star", model, "comfy"))


def test_compel_mixes_faint_words_with_a_prompt_in_which_they_are_masked(model: TextModel) -> None:
    text = "a red star on blue"
    red, blue = places(text, "red", model), places(text, "blue", model)
    empty = hidden("", model)
    weights = torch.ones(77)
    weights[red], weights[blue] = 0.5, 0.8

    def moved(full: Tensor) -> Tensor:
        return empty + weights[None, :, None] * (full - empty)

    shares = [1.0, math.tan(0.5 * math.pi / 2), math.tan(0.2 * math.pi / 2)]
    mixed = [moved(hidden(text, model, masked)) for masked in ([], red, blue)]
    expected = torch.stack([share * part for share, part in zip(shares, mixed, strict=True)]).sum(0) / sum(shares)
    found = embedding("a (red)0.5 star on (blue)0.8", model, "compel")
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_word_of_weight_zero_is_gone_in_compel(model: TextModel) -> None:
    text = "a red star"
    red = places(text, "red", model)
    others = [place for place in range(77) if place not in red]
    found = embedding("a (red)0 star", model, "compel")
    assert torch.allclose(found[:, others], hidden(text, model, red)[:, others], atol=1e-3)


@pytest.mark.parametrize(("syntax", "weighted"), [("comfy", "(star:1.2) "), ("compel", "(star)0.8 ")])
def test_long_prompts_are_weighted_chunk_by_chunk(syntax: Syntax, weighted: str, model: TextModel) -> None:
    found = embedding("star " * 40 + weighted * 3, model, syntax)
    assert found.shape[1] % 77 == 0
    assert found.shape[1] > 77
    assert found.isfinite().all()


def test_normalising_is_for_a1111_weights_alone(model: TextModel) -> None:
    cases: tuple[tuple[Syntax, str], ...] = (("comfy", "a (red:1.4) star"), ("compel", "a (red)1.4 star"))
    for syntax, text in cases:
        assert torch.equal(embedding(text, model, syntax), embedding(text, model, syntax, normalize="none"))


def test_the_parts_of_an_edited_prompt_are_the_texts_encoded_alone(model: TextModel) -> None:
    entries = encode_prompt("a [red:blue:0.5] star AND x :0.6", model).entries
    texts = ("a red star", "a blue star", "x")
    for entry, text in zip(entries, texts, strict=True):
        assert torch.equal(entry.embedding, embedding(text, model))
    assert [entry.windows for entry in entries] == [(StepWindow(until_share=0.5),), (StepWindow(after_share=0.5),), ()]
    assert [entry.factor for entry in entries] == [1.0, 1.0, 0.6]


def test_compels_blend_is_a_mean_of_vectors_and_its_and_a_row(model: TextModel) -> None:
    red, star = embedding("red", model), embedding("a star", model)
    blend = embedding('("red", "a star").blend(1, 3)', model, "compel")
    assert torch.allclose(blend, 0.25 * red + 0.75 * star, atol=1e-6)
    assert torch.equal(embedding('("red", "a star").and()', model, "compel"), torch.cat([red, star], dim=1))
    assert torch.allclose(
        embedding('("red", "a star").and(2, 1)', model, "compel"), torch.cat([2 * red, star], dim=1), atol=1e-6
    )


def test_conditioning_of_several_parts_can_be_stored(model: TextModel) -> None:
    assert CONDITIONING.codec is not None
    conditioning = encode_prompt("a [red:blue:3] AND [x|y] :-0.5", model)
    again = CONDITIONING.codec.decode(CONDITIONING.codec.encode(conditioning))
    for found, entry in zip(again.entries, conditioning.entries, strict=True):
        assert torch.equal(found.embedding, entry.embedding)
        assert (found.windows, found.factor, found.group) == (entry.windows, entry.factor, entry.group)


@pytest.mark.parametrize("text", ["", "\0", "a\0b", "((((", "[]", "()", "+-", "BREAK", " AND ", "[|]"])
def test_odd_prompts_are_encoded_in_every_syntax(text: str, model: TextModel) -> None:
    syntaxes: tuple[Syntax, ...] = ("a1111", "comfy", "compel", "plain")
    for syntax in syntaxes:
        assert embedding(text, model, syntax).isfinite().all()


def test_a_prompt_of_ten_thousand_words_is_encoded(model: TextModel) -> None:
    assert embedding("a " * 10_000, model).shape == (1, 134 * 77, 32)


WORDS = {"glow": (-1, -2, -3), "glow-2": (-4,)}


@pytest.mark.parametrize(
    ("syntax", "text", "expected"),
    [
        ("a1111", "a glow star", ["a ", (-1, -2, -3), " star"]),
        ("a1111", "a GLOW-2, glowing", ["a ", (-4,), ", glowing"]),
        ("a1111", "embedding:glow", [(-1, -2, -3)]),
        ("comfy", "a glow embedding:glow, b", ["a glow ", (-1, -2, -3), ", b"]),
        ("comfy", "embedding:glow.", [(-1, -2, -3), "."]),
        ("compel", "glow glow", [(-1, -2, -3), " ", (-1, -2, -3)]),
        ("plain", "glow embedding:glow", ["glow embedding:glow"]),
    ],
)
def test_embeddings_are_found_as_each_syntax_names_them(syntax: Syntax, text: str, expected: list[Any]) -> None:
    assert split_words(text, WORDS, syntax) == expected


@pytest.mark.parametrize("words", [{}, WORDS])
def test_an_embedding_that_is_not_there_is_a_clear_error(words: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(SamplingError, match="`glowing`") as caught:
        split_words("a embedding:glowing star", words, "comfy")
    assert (caught.value.code, caught.value.problem.port) == ("prompt-embedding", "prompt")


def test_an_embedding_of_vocabulary_vectors_equals_the_words_they_stand_for(model: TextModel) -> None:
    ids = model.tokenizer(["red star"], add_special_tokens=False).input_ids[0]
    table = model.encoder.get_input_embeddings().weight
    set_words(model.encoder, {"rs": table[torch.tensor(ids)].clone()})
    try:
        assert torch.equal(embedding("a rs on blue", model), embedding("a red star on blue", model))
        weighted = embedding("a (embedding:rs:1.3) on blue", model, "comfy")
        assert torch.allclose(weighted, embedding("a (red star:1.3) on blue", model, "comfy"), atol=1e-6)
    finally:
        set_words(model.encoder, {})
    with pytest.raises(SamplingError):
        encode_text("embedding:rs", model)


def test_the_vectors_of_one_embedding_stay_in_one_chunk() -> None:
    form = ChunkFormat(7, 100, 101, 101)
    word = [(-1, 1.0), (-2, 1.0), (-3, 1.0)]
    chunks = make_chunks([[(1, 1.0)] * 3 + word + [(2, 1.0)]], form)
    assert [chunk.ids for chunk in chunks] == [(100, 1, 1, 1, 101, 101, 101), (100, -1, -2, -3, 2, 101, 101)]
