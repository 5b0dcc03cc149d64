"""What captions say, and what the tokenizer makes of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from training.shapes.captions import FILLER_WORDS, plain_caption, write_caption
from training.shapes.encode import STORED_TOKENS
from training.shapes.settings import MAX_TOKENS
from training.shapes.text import CLASSES, UNJUDGED, answers
from training.shapes.tokens import build_tokenizer, encode_captions
from training.shapes.world import COLOURS, INVERSE, SHAPES, Scene, sample_scene

seeds = st.integers(0, 2**32 - 1)
SAID_RELATION = {
    "left of": r"left( of|$|\b)",
    "right of": r"right( of|$|\b)",
    "above": r"above|over",
    "below": r"below|under|beneath",
}


def captioned(seed: int, pair_share: float = 0.5) -> tuple[Scene, str]:
    rng = np.random.default_rng(seed)
    scene = sample_scene(rng, pair_share)
    return scene, write_caption(scene, rng)


@given(seeds)
def test_a_caption_names_colour_and_shape_of_every_object(seed: int) -> None:
    scene, caption = captioned(seed)
    for obj in scene.objects:
        assert re.search(rf"\b{obj.colour}\b", caption)
        assert re.search(rf"\b{obj.shape}\b", caption)


@given(seeds)
def test_a_caption_names_no_shape_that_is_not_there(seed: int) -> None:
    scene, caption = captioned(seed)
    assert {shape for shape in SHAPES if re.search(rf"\b{shape}\b", caption)} == {obj.shape for obj in scene.objects}


@given(seeds)
def test_a_background_that_is_named_is_the_right_one(seed: int) -> None:
    scene, caption = captioned(seed)
    if "background" in caption:
        assert f"{scene.background} background" in caption.replace("gray", "grey")


@given(seeds)
def test_a_relation_is_told_from_the_object_that_is_named_first(seed: int) -> None:
    scene, caption = captioned(seed, pair_share=1.0)
    first, second = scene.objects
    head = caption.split(",")[0]
    if first.shape == second.shape or " and " in head or " with " in head:
        return
    assert scene.relation is not None
    starts = [head.index(obj.shape) for obj in scene.objects]
    told = scene.relation if starts[0] < starts[1] else INVERSE[scene.relation]
    assert re.search(SAID_RELATION[told], head)
    assert not re.search(SAID_RELATION[INVERSE[told]], head)


def test_a_plain_caption_reads_like_a_sentence() -> None:
    rng = np.random.default_rng(3)
    caption = plain_caption(sample_scene(rng, pair_share=1.0))
    assert re.fullmatch(r"an? .+ (left of|right of|above|below) an? .+ on an? .+ background", caption)


@given(seeds)
def test_the_answers_about_a_scene_do_not_depend_on_which_object_is_named_first(seed: int) -> None:
    scene, _ = captioned(seed, pair_share=1.0)
    assert scene.relation is not None
    turned = replace(scene, objects=scene.objects[::-1], relation=INVERSE[scene.relation])
    assert answers(turned) == answers(scene)


@given(seeds)
def test_every_answer_is_one_that_its_head_can_give(seed: int) -> None:
    scene, _ = captioned(seed)
    assert len(answers(scene)) == len(CLASSES)
    assert all(answer == UNJUDGED or 0 <= answer < count for answer, count in zip(answers(scene), CLASSES, strict=True))


def test_filler_words_never_name_colours_or_shapes() -> None:
    assert not set(FILLER_WORDS) & {*COLOURS, *SHAPES, "left", "right", "above", "below", "background"}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> CLIPTokenizer:
    return build_tokenizer(tmp_path_factory.mktemp("tokenizer"), seed=1, captions=300)


def test_world_words_are_one_token_each(tokenizer: CLIPTokenizer) -> None:
    words = [*COLOURS, *SHAPES, "background", "left", "striped", "masterpiece"]
    assert [len(tokenizer(word)["input_ids"]) for word in words] == [3] * len(words)


def test_captions_fit_the_stored_length_and_are_padded_with_the_end_token(tokenizer: CLIPTokenizer) -> None:
    ids = encode_captions(tokenizer, [captioned(seed)[1] for seed in range(300)], STORED_TOKENS)
    assert ids.shape == (300, STORED_TOKENS)
    assert (ids[:, 0] == tokenizer.bos_token_id).all()
    assert (ids[:, -1] == tokenizer.eos_token_id).all()


def test_the_tokenizer_reads_any_text_back(tokenizer: CLIPTokenizer) -> None:
    assert tokenizer.model_max_length == MAX_TOKENS
    text = "a café, 42 xylophones!"
    ids = tokenizer(text)["input_ids"]
    assert str(tokenizer.decode(ids, skip_special_tokens=True)).replace(" ", "") == text.replace(" ", "")


def test_building_the_tokenizer_twice_gives_the_same_files(tmp_path: Path) -> None:
    for name in ("first", "second"):
        build_tokenizer(tmp_path / name, seed=1, captions=50)
    for file in ("vocab.json", "merges.txt"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
