"""Encoding prompts: weights, chunks, clip skip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdgraph.errors import SamplingError
from sdgraph.models.chunks import Chunk, ChunkFormat, Weighted, make_chunks
from sdgraph.models.prompt import Normalize, Section, Syntax, parse_prompt
from sdgraph.payloads.conditioning import Conditioning, ConditioningEntry

if TYPE_CHECKING:
    from torch import Tensor

    from sdgraph.models.load import TextModel

LEAST_MEAN = 0.05
"""Below this share of the spread, the mean of an encoder's output is noise and says nothing about its size."""


def encode_text(
    text: str,
    model: TextModel,
    *,
    syntax: Syntax = "a1111",
    normalize: Normalize = "mean_per_prompt",
    clip_skip: int = 0,
) -> Conditioning:
    """A prompt as vectors, float32 [1, chunks * length, D] on the CPU, each token's vector times its weight.

    `mean_per_prompt` then scales each chunk back to the mean that it had without weights, as A1111's "Original" does
    for a whole batch; here it is done per prompt, so a picture does not depend on its neighbours, and only for encoders
    whose output has a mean (`LEAST_MEAN`; CLIP's has). `clip_skip` leaves out that many last layers (0: none; A1111
    counts the same from 1). A prompt without weights and of one chunk gives the same bits as diffusers'
    `encode_prompt`.

    Raises SamplingError [prompt-unsupported], [prompt-weight], [clip-skip].
    """
    import torch

    layers = model.encoder.config.num_hidden_layers
    if not 0 <= clip_skip < layers:
        raise SamplingError(
            "clip-skip",
            f"clip_skip leaves out 0 to {layers - 1} of this text encoder's {layers} layers, found {clip_skip}.",
            "Use 0, or 1 where other tools say 2.",
        )
    chunks = chunk_prompt(text, model, syntax)
    with torch.no_grad():
        encoded = [_encode_chunk(chunk, model, normalize, clip_skip) for chunk in chunks]
    return Conditioning((ConditioningEntry(torch.cat(encoded, dim=1).float().cpu()),))


def chunk_prompt(text: str, model: TextModel, syntax: Syntax = "a1111") -> tuple[Chunk, ...]:
    """A prompt as the text encoder reads it. Raises SamplingError as `parse_prompt` does."""
    tokenizer: Any = model.tokenizer
    form = ChunkFormat(
        length=model.encoder.config.max_position_embeddings,
        start_id=tokenizer.bos_token_id,
        end_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
        comma_id=tokenizer.get_vocab().get(",</w>"),
    )
    return make_chunks([_tokens(section, tokenizer) for section in parse_prompt(text, syntax)], form)


def _tokens(section: Section, tokenizer: Any) -> list[Weighted]:
    if not section:
        return []
    # verbose=False: a long prompt is cut into chunks later, so the tokenizer's warning would be wrong.
    ids = tokenizer([segment.text for segment in section], add_special_tokens=False, verbose=False)["input_ids"]
    return [(token, segment.weight) for segment, tokens in zip(section, ids, strict=True) for token in tokens]


def _encode_chunk(chunk: Chunk, model: TextModel, normalize: Normalize, clip_skip: int) -> Tensor:
    import torch

    device = model.encoder.device
    hidden = _hidden(torch.tensor([chunk.ids], device=device), model.encoder, clip_skip)
    if all(weight == 1 for weight in chunk.weights):
        return hidden
    weighted = hidden * torch.tensor(chunk.weights, device=device, dtype=hidden.dtype)[None, :, None]
    if normalize == "none" or hidden.mean().abs() < LEAST_MEAN * hidden.std():
        return weighted
    return weighted * (hidden.mean() / weighted.mean())


def _hidden(ids: Tensor, encoder: Any, clip_skip: int) -> Tensor:
    """[1, length, D]: the output of the last layer that is not skipped, normalised as the last one's is."""
    if clip_skip == 0:
        return encoder(ids)[0]
    states = encoder(ids, output_hidden_states=True).hidden_states
    # transformers 5.6 moved the layers up; before, they were in `text_model`.
    return getattr(encoder, "text_model", encoder).final_layer_norm(states[-(clip_skip + 1)])
