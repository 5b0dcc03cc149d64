from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sdgraph_nodes.embedding import TextEmbedding
from sdgraph_nodes.lora import DenoiserLora, Lora

from sdgraph.errors import ModelError
from tests.nodes.tiny_model import SOURCE, context, model
from tests.workflows.small_files import tiny_embedding, tiny_lora


def lora(**ports: Any) -> Any:
    ports = {
        "denoiser": model().denoiser,
        "text_encoder": model().text_encoder,
        "source": str(tiny_lora(SOURCE)),
        **ports,
    }
    return Lora(**ports).run(context())


def test_a_lora_goes_on_the_parts_that_it_is_for() -> None:
    out = lora(strength=0.5)
    assert [patch.strength for patch in out.denoiser.patches] == [0.5]
    assert out.text_encoder == model().text_encoder


def test_loras_add_up_in_a_chain() -> None:
    first = lora()
    second = DenoiserLora(denoiser=first.denoiser, source=str(tiny_lora(SOURCE)), strength=-0.2).run(context())
    found: Any = second.denoiser
    assert [patch.strength for patch in found.patches] == [1.0, -0.2]


def test_a_strength_of_zero_gives_the_handles_as_they_are() -> None:
    out = lora(strength=0.0, text_strength=0.0)
    assert (out.denoiser, out.text_encoder) == (model().denoiser, model().text_encoder)


def test_a_renamed_file_has_the_same_fingerprint(tmp_path: Path) -> None:
    moved = tmp_path / "renamed.safetensors"
    moved.write_bytes(tiny_lora(SOURCE).read_bytes())
    fingerprints = {
        DenoiserLora(denoiser=model().denoiser, source=str(path)).fingerprint() for path in (moved, tiny_lora(SOURCE))
    }
    assert len(fingerprints) == 1


def test_a_lora_of_another_model_is_refused() -> None:
    with pytest.raises(ModelError, match="lora-mismatch"):
        lora(source="builtin:shapes/lora_neon")


def test_what_fits_nothing_is_a_warning_of_the_node(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(str(tiny_lora(SOURCE)))
    tensors["stray"] = tensors[next(iter(tensors))].clone()
    path = tmp_path / "stray.safetensors"
    save_file(tensors, str(path))
    ctx = context()
    DenoiserLora(denoiser=model().denoiser, source=str(path)).run(ctx)
    assert [warning.code for warning in ctx.warnings] == ["lora-partial"]


def test_a_word_is_added_to_the_text_encoder() -> None:
    node = TextEmbedding(text_encoder=model().text_encoder, source=str(tiny_embedding(SOURCE)), name="dusk")
    out: Any = node.run(context())
    assert [embedding.name for embedding in out.text_encoder.embeddings] == ["dusk"]
    assert out.text_encoder.pool_key == model().text_encoder.pool_key
    with pytest.raises(ModelError, match="embedding-mismatch"):
        TextEmbedding(text_encoder=model().text_encoder, source="builtin:shapes/embedding_bee").run(context())
