"""Textual inversion: files of every kind, against `load_textual_inversion` of diffusers."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import Checkpoint, read_checkpoint
from sdgraph.models.embeddings import embedding_fingerprint, read_embedding, with_embedding
from sdgraph.models.pool import ModelPool
from sdgraph.models.quiet import quiet
from sdgraph.models.text import encode_text
from sdgraph.models.words import words
from sdgraph.payloads.handles import TextEncoderHandle
from tests.models.loras import write
from tests.models.reference import reference_pipeline

WIDTH = 32


def vectors(count: int, width: int = WIDTH, seed: int = 0) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def encoded(pool: ModelPool, handle: TextEncoderHandle, prompt: str) -> Tensor:
    with pool.lease(handle) as model:
        return encode_text(prompt, model).entries[0].embedding


@pytest.mark.parametrize("count", [1, 3])
def test_a_word_is_encoded_as_diffusers_does(
    tiny: Checkpoint, pool: ModelPool, tiny_folder: Path, tmp_path: Path, count: int
) -> None:
    path = write(tmp_path / "learned_embeds.safetensors", {"<dusk>": vectors(count)})
    pipeline = reference_pipeline(tiny_folder)
    with quiet():
        pipeline.load_textual_inversion(str(path))
    found = with_embedding(tiny.text_encoder, str(path))
    assert [embedding.name for embedding in found.embeddings] == ["<dusk>"]
    for prompt in ("a <dusk> sea", "<dusk>", "no such word"):
        expected = pipeline.encode_prompt(prompt, "cpu", 1, False)[0]
        assert (encoded(pool, found, prompt) - expected).abs().max() <= 1e-5
    assert not torch.equal(encoded(pool, found, "a <dusk> sea"), encoded(pool, tiny.text_encoder, "a <dusk> sea"))


def test_all_formats_hold_the_same_word(tiny: Checkpoint, pool: ModelPool, tmp_path: Path) -> None:
    own = vectors(2)
    torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": own}, "name": "dusk"}, tmp_path / "a1111.pt")
    torch.save({"dusk": own}, tmp_path / "diffusers.bin")
    files = [
        write(tmp_path / "params.safetensors", {"emb_params": own}),
        write(tmp_path / "named.safetensors", {"dusk": own}),
        write(tmp_path / "towers.safetensors", {"clip_l": own, "clip_g": vectors(2, 1280)}),
        tmp_path / "a1111.pt",
        tmp_path / "diffusers.bin",
    ]
    expected = None
    for path in files:
        handle = with_embedding(tiny.text_encoder, str(path), "dusk", allow_pickle=True)
        found = encoded(pool, handle, "a dusk sea")
        expected = found if expected is None else expected
        assert torch.equal(found, expected)


def test_names_come_from_the_node_the_file_or_its_name(tiny: Checkpoint, tmp_path: Path) -> None:
    params = write(tmp_path / "params.safetensors", {"emb_params": vectors(1)})
    named = write(tmp_path / "x.safetensors", {"dusk": vectors(1)})
    assert with_embedding(tiny.text_encoder, str(params)).embeddings[0].name == "params"
    assert with_embedding(tiny.text_encoder, str(named)).embeddings[0].name == "dusk"
    both = with_embedding(with_embedding(tiny.text_encoder, str(params), "dusk"), str(named), "Dusk")
    assert [embedding.source for embedding in both.embeddings] == [str(named)]
    for name in ("two words", "a(b)", "x" * 65):
        with pytest.raises(ModelError, match="embedding-name"):
            with_embedding(tiny.text_encoder, str(params), name)


def test_the_encoder_is_itself_again_without_the_word(tiny: Checkpoint, pool: ModelPool, tmp_path: Path) -> None:
    before = encoded(pool, tiny.text_encoder, "a dusk sea")
    handle = with_embedding(tiny.text_encoder, str(write(tmp_path / "dusk.safetensors", {"dusk": vectors(2)})))
    with pool.lease(handle) as model:
        assert model.handle == handle
        held = pool.held_bytes
        assert words(model.encoder) == {"dusk": (-1, -2)}
    assert torch.equal(encoded(pool, handle, "plain"), encoded(pool, tiny.text_encoder, "plain"))
    with pool.lease(tiny.text_encoder) as model:
        assert words(model.encoder) == {}
        assert pool.held_bytes == held - 2 * WIDTH * 4
    assert torch.equal(encoded(pool, tiny.text_encoder, "a dusk sea"), before)


def test_several_words_keep_apart(tiny: Checkpoint, pool: ModelPool, tmp_path: Path) -> None:
    paths = [write(tmp_path / f"w{n}.safetensors", {f"w{n}": vectors(n + 1, seed=n)}) for n in range(2)]
    alone = [with_embedding(tiny.text_encoder, str(path)) for path in paths]
    both = with_embedding(alone[0], str(paths[1]))
    for number in range(2):
        assert torch.equal(encoded(pool, both, f"a w{number}"), encoded(pool, alone[number], f"a w{number}"))


def test_both_towers_of_sdxl_get_their_vectors(pool: ModelPool, tmp_path: Path, own_home: None) -> None:
    handle = read_checkpoint("synthetic:sdxl-tiny").text_encoder
    first, second = (tower.width for tower in handle.towers)
    path = write(tmp_path / "xl.safetensors", {"clip_l": vectors(1, first), "clip_g": vectors(2, second)})
    found = with_embedding(handle, str(path))
    with pool.lease(found) as model:
        assert [words(tower.encoder) for tower in model.towers] == [{"xl": (-1,)}, {"xl": (-1, -2)}]
        entry = encode_text("a xl sea", model).entries[0]
    plain = encode_plain(pool, handle, "a xl sea")
    assert not torch.equal(entry.embedding, plain.embedding)
    assert entry.pooled is not None
    assert not torch.equal(entry.pooled, plain.pooled)
    only = write(tmp_path / "only.safetensors", {"clip_l": vectors(1, first)})
    with pytest.raises(ModelError, match="embedding-mismatch"):
        with_embedding(handle, str(only))


def encode_plain(pool: ModelPool, handle: TextEncoderHandle, prompt: str) -> Any:
    with pool.lease(handle) as model:
        return encode_text(prompt, model).entries[0]


def test_vectors_of_another_length_are_refused_in_words(tiny: Checkpoint, tmp_path: Path) -> None:
    path = write(tmp_path / "sd2.safetensors", {"emb_params": vectors(4, 1024)})
    with pytest.raises(ModelError, match=r"vectors of 1024 numbers, but .* reads 32\.") as caught:
        with_embedding(tiny.text_encoder, str(path))
    assert caught.value.code == "embedding-mismatch"


@pytest.mark.parametrize(
    ("tensors", "code"),
    [
        ({"a": vectors(1), "b": vectors(1)}, "embedding-unknown"),
        ({"dusk": torch.zeros(1, 2, WIDTH)}, "model-damaged"),
        ({"dusk": torch.zeros(0, WIDTH)}, "model-damaged"),
    ],
)
def test_files_that_hold_no_word_are_refused(tmp_path: Path, tensors: dict[str, Tensor], code: str) -> None:
    path = write(tmp_path / "bad.safetensors", tensors)
    with pytest.raises(ModelError) as caught:
        read_embedding(path)
    assert caught.value.code == code


def test_numbers_that_are_not_finite_are_refused(tiny: Checkpoint, pool: ModelPool, tmp_path: Path) -> None:
    handle = with_embedding(
        tiny.text_encoder, str(write(tmp_path / "dusk.safetensors", {"dusk": torch.full((1, WIDTH), float("nan"))}))
    )
    with pytest.raises(ModelError, match="not finite"), pool.lease(handle):
        pass
    assert encoded(pool, tiny.text_encoder, "a sea").isfinite().all()


def test_pickles_need_leave_and_never_run(tiny: Checkpoint, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "exploded",)

    path = tmp_path / "bomb.pt"
    path.write_bytes(pickle.dumps({"dusk": Bomb()}))
    with pytest.raises(ModelError, match="model-pickle"):
        embedding_fingerprint(str(path))
    with pytest.raises(ModelError, match="model-damaged"):
        with_embedding(tiny.text_encoder, str(path), "dusk", allow_pickle=True)
    assert not (tmp_path / "exploded").exists()


def test_a_changed_file_is_not_used(tiny: Checkpoint, pool: ModelPool, tmp_path: Path) -> None:
    path = write(tmp_path / "dusk.safetensors", {"dusk": vectors(1)})
    handle = with_embedding(tiny.text_encoder, str(path))
    write(path, {"dusk": vectors(1, seed=1)})
    with pytest.raises(ModelError, match="model-changed"), pool.lease(handle):
        pass
