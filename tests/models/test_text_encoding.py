from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from torch import Tensor

from sdgraph.errors import SamplingError
from sdgraph.models.checkpoint import Checkpoint
from sdgraph.models.pool import ModelPool
from sdgraph.models.text import chunk_prompt, encode_text
from sdgraph.models.towers import TextModel
from sdgraph.payloads.conditioning import CONDITIONING
from tests.models.reference import reference_pipeline


@pytest.fixture
def model(tiny: Checkpoint, pool: ModelPool) -> Generator[TextModel]:
    with pool.lease(tiny.text_encoder) as leased:
        yield leased


@pytest.fixture(scope="module")
def pipeline(tiny_folder: Path) -> StableDiffusionPipeline:
    return reference_pipeline(tiny_folder)


def embedding(text: str, model: TextModel, **options: Any) -> Tensor:
    return encode_text(text, model, **options).entries[0].embedding


@pytest.mark.parametrize("text", ["a red star", "", "Ünïcode, CAPITALS & signs!", "x" * 75, "a, b, c"])
def test_a_prompt_without_weights_gives_the_bits_of_diffusers(
    text: str, model: TextModel, pipeline: StableDiffusionPipeline
) -> None:
    expected, _ = pipeline.encode_prompt(text, "cpu", 1, False)
    assert torch.equal(embedding(text, model), expected)
    assert torch.equal(embedding(text, model, syntax="plain", normalize="none"), expected)


def test_weights_of_one_are_no_weights(model: TextModel) -> None:
    assert torch.equal(embedding("(a red:1.0) star", model), embedding("a red star", model))


def test_a_weight_scales_its_tokens_only(model: TextModel) -> None:
    plain = embedding("ab cd", model)
    weighted = embedding("ab (cd:1.5)", model, normalize="none")
    assert torch.equal(weighted[:, 3:5], plain[:, 3:5] * 1.5)
    assert torch.equal(weighted[:, :3], plain[:, :3])
    assert torch.equal(weighted[:, 5:], plain[:, 5:])


def test_normalised_weights_keep_the_mean_of_each_chunk(model: TextModel) -> None:
    text = "a (red:1.4) [star] BREAK on (blue:0.5)"
    kept, raw = embedding(text, model), embedding(text, model, normalize="none")
    unweighted = embedding("a red star BREAK on blue", model)
    for part in (slice(0, 77), slice(77, 154)):
        assert kept[:, part].mean().item() == pytest.approx(unweighted[:, part].mean().item(), rel=1e-4)
        assert torch.allclose(kept[:, part] / kept[:, part].mean(), raw[:, part] / raw[:, part].mean(), atol=1e-3)
        assert not torch.allclose(kept[:, part], raw[:, part], atol=1e-3)


def test_an_encoder_whose_output_has_no_mean_is_not_normalised(tiny: Checkpoint) -> None:
    with ModelPool().lease(tiny.text_encoder) as model:
        model.encoder.get_parameter("final_layer_norm.bias").zero_()
        text = "a (red:1.4) star"
        assert torch.equal(embedding(text, model), embedding(text, model, normalize="none"))


def test_a_long_prompt_goes_chunk_by_chunk(model: TextModel) -> None:
    words = "star " * 20
    long = embedding(words + "BREAK " + words, model)
    assert long.shape == (1, 4 * 77, 32)
    assert torch.equal(long[:, : 2 * 77], embedding(words, model))
    assert len(chunk_prompt(words, model.towers[0])) == 2


def test_a_prompt_of_ten_thousand_letters_is_cut_into_chunks(model: TextModel) -> None:
    assert len(chunk_prompt("word " * 2000, model.towers[0])) == 107


def test_clip_skip_takes_an_earlier_layer_under_the_last_norm(model: TextModel) -> None:
    encoder: Any = model.encoder
    ids = torch.tensor([chunk_prompt("a red star", model.towers[0])[0].ids])
    with torch.no_grad():
        states = encoder(ids, output_hidden_states=True).hidden_states
        for skip in (0, 1, 2):
            expected = encoder.final_layer_norm(states[-(skip + 1)])
            assert torch.allclose(embedding("a red star", model, clip_skip=skip), expected, atol=1e-6)
    assert not torch.equal(embedding("a red star", model, clip_skip=1), embedding("a red star", model))


@pytest.mark.parametrize("clip_skip", [-1, 3])
def test_clip_skip_beyond_the_layers_is_refused(model: TextModel, clip_skip: int) -> None:
    with pytest.raises(SamplingError, match="0 to 2") as caught:
        encode_text("a", model, clip_skip=clip_skip)
    assert caught.value.code == "clip-skip"


def test_conditioning_can_be_shared_and_stored(model: TextModel) -> None:
    conditioning = encode_text("a (red:1.2) star", model)
    assert CONDITIONING.share is not None
    assert CONDITIONING.codec is not None
    CONDITIONING.share(conditioning).entries[0].embedding.zero_()
    again = CONDITIONING.codec.decode(CONDITIONING.codec.encode(conditioning))
    assert torch.equal(again.entries[0].embedding, conditioning.entries[0].embedding)
    assert conditioning.entries[0].embedding.any()
