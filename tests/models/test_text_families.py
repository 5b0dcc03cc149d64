"""What the text towers of each family say together, against diffusers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sdgraph.errors import SamplingError
from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.pool import ModelPool
from sdgraph.models.source import resolve
from sdgraph.models.text import encode_text
from sdgraph.payloads.conditioning import ConditioningEntry
from sdgraph.payloads.handles import TextEncoderHandle
from tests.models.family_references import TINY, encoded
from tests.models.test_fingerprints import edit_json

PROMPT = "a red star"


def encode(pool: ModelPool, handle: TextEncoderHandle, text: str = PROMPT, **options: Any) -> ConditioningEntry:
    with pool.lease(handle) as model:
        return encode_text(text, model, **options).entries[0]


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("text", [PROMPT, ""])
def test_a_prompt_is_encoded_as_diffusers_encodes_it(pool: ModelPool, name: str, text: str) -> None:
    handle = read_checkpoint(TINY[name]).text_encoder
    entry = encode(pool, handle, text)
    embedding, pooled = encoded(name, text)
    assert torch.equal(entry.embedding, embedding)
    assert entry.embedding.shape[-1] == handle.conditioning_width
    if pooled is None:
        assert entry.pooled is None
        assert handle.pooled_width == 0
    else:
        assert entry.pooled is not None
        assert torch.equal(entry.pooled, pooled)
        assert entry.pooled.shape[-1] == handle.pooled_width


@pytest.mark.parametrize("name", ["sd1", "sd2", "sdxl", "sdxl_refiner", "sd3"])
def test_clip_skip_means_what_it_means_in_diffusers(pool: ModelPool, name: str) -> None:
    entry = encode(pool, read_checkpoint(TINY[name]).text_encoder, clip_skip=1)
    if name in ("sd1", "sd2"):
        # diffusers looks for the layers where transformers below 5.6 kept them.
        with pytest.raises(AttributeError, match="text_model"):
            encoded(name, PROMPT, clip_skip=1)
    else:
        assert torch.equal(entry.embedding, encoded(name, PROMPT, clip_skip=1)[0])
    assert not torch.equal(entry.embedding, encode(pool, read_checkpoint(TINY[name]).text_encoder).embedding)


@pytest.mark.parametrize(("name", "too_many"), [("sd1", 3), ("sdxl", 2), ("flux", 1)])
def test_more_layers_than_there_are_cannot_be_left_out(pool: ModelPool, name: str, too_many: int) -> None:
    handle = read_checkpoint(TINY[name]).text_encoder
    with pytest.raises(SamplingError) as caught:
        encode(pool, handle, clip_skip=too_many)
    assert caught.value.code == "clip-skip"


def test_a_stable_diffusion_3_model_without_t5_takes_zeros_for_it(pool: ModelPool, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(resolve(TINY["sd3"]), tmp_path / "copy"))
    shutil.rmtree(copy / "text_encoder_3")
    edit_json(copy / "model_index.json", text_encoder_3=[None, None], tokenizer_3=[None, None])
    handle = read_checkpoint(str(copy)).text_encoder
    whole = read_checkpoint(TINY["sd3"]).text_encoder
    assert len(handle.towers) == 2
    without, complete = encode(pool, handle), encode(pool, whole)
    assert without.embedding.shape == complete.embedding.shape
    assert torch.equal(without.embedding[:, :77], complete.embedding[:, :77])
    assert not without.embedding[:, 77:].any()


def test_weights_and_long_prompts_work_in_every_tower(pool: ModelPool) -> None:
    handle = read_checkpoint(TINY["sd3"]).text_encoder
    plain, weighted = encode(pool, handle, "a star"), encode(pool, handle, "a (star:1.5)")
    for part in (slice(0, 77), slice(77, None)):
        assert not torch.equal(plain.embedding[:, part], weighted.embedding[:, part])
    assert plain.pooled is not None
    assert weighted.pooled is not None
    assert torch.equal(plain.pooled, weighted.pooled)
    long = encode(pool, handle, "star " * 60)  # 300 letters: four chunks of CLIP, two of T5
    assert long.embedding.shape[1] == 4 * 77 + 2 * 256


def test_a_break_begins_a_chunk_of_clip_and_none_of_t5(pool: ModelPool) -> None:
    entry = encode(pool, read_checkpoint(TINY["sd3"]).text_encoder, "a BREAK b")
    assert entry.embedding.shape[1] == 2 * 77 + 256


def test_all_towers_stand_in_the_dtype_of_the_handle(pool: ModelPool) -> None:
    handle = replace(read_checkpoint(TINY["sdxl"]).text_encoder, dtype="bfloat16")
    with pool.lease(handle) as model:
        assert [next(module.parameters()).dtype for module in model.modules] == [torch.bfloat16] * 2
    assert encode(pool, handle).embedding.dtype == torch.float32
