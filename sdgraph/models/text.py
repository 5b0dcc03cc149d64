"""Encoding prompts: from a text to conditioning, over all text towers of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sdgraph.models.chunks import Chunk, make_chunks
from sdgraph.models.prompt import Normalize, Syntax, parse_prompt
from sdgraph.models.prompt_join import join_part
from sdgraph.models.prompt_plan import plan_prompt
from sdgraph.models.prompt_words import Words, tokens_of
from sdgraph.models.towers import LoadedTower, TextModel, TowerOutput, join_towers, run_tower
from sdgraph.models.weighting import weigh
from sdgraph.models.words import words
from sdgraph.payloads.conditioning import Conditioning

if TYPE_CHECKING:
    from torch import Tensor


def encode_prompt(
    prompt: str,
    model: TextModel,
    *,
    syntax: Syntax = "a1111",
    normalize: Normalize = "mean_per_prompt",
    clip_skip: int = 0,
) -> Conditioning:
    """A prompt as conditioning: each of its texts encoded once, and put together as the prompt says.

    Raises SamplingError as `plan_prompt` and `encode_text` do.
    """
    plan = plan_prompt(prompt, syntax)
    options: dict[str, Any] = {"syntax": syntax, "normalize": normalize, "clip_skip": clip_skip}
    if plan.is_one_text:
        return encode_text(plan.texts[0], model, **options)
    encode = encode_prompt if plan.joining != "add" else encode_text
    encoded = {text: encode(text, model, **options) for text in plan.texts}
    joined: Conditioning | None = None
    for part in plan.parts:
        for variant in part.variants:
            joined = join_part(joined, encoded[variant.text], plan.joining, part.factor, variant.windows)
    assert joined is not None  # a plan has a part, and a part a variant
    return joined


def encode_text(
    text: str,
    model: TextModel,
    *,
    syntax: Syntax = "a1111",
    normalize: Normalize = "mean_per_prompt",
    clip_skip: int = 0,
) -> Conditioning:
    """A text that stays the same while sampling as vectors, float32 [1, chunks * length, D] on the CPU.

    Every text tower of the model encodes it; `towers.join_towers` says how their outputs become one. Weights act as
    `weighting.weigh` says. `mean_per_prompt` scales each chunk of an a1111 prompt back to the mean that it had without
    weights, as A1111's "Original" does for a whole batch; here it is done per prompt, so a picture does not depend on
    its neighbours, and only for encoders whose output has a mean (CLIP's has). `clip_skip` leaves out that many last
    layers (0: none; A1111 counts the same from 1). A prompt without weights and of one chunk gives the same bits as
    diffusers' `encode_prompt`.

    Raises SamplingError [prompt-unsupported], [prompt-weight], [prompt-embedding], [clip-skip].
    """
    model.require_clip_skip(clip_skip)
    known = {embedding.name for embedding in model.handle.embeddings}
    pairs = [_encode_tower(text, tower, known, syntax, normalize, clip_skip) for tower in model.towers]
    return Conditioning((join_towers(model, [hidden for hidden, _ in pairs], [pooled for _, pooled in pairs]),))


def chunk_prompt(
    text: str, tower: LoadedTower, syntax: Syntax = "a1111", known: Sequence[str] | set[str] = ()
) -> tuple[Chunk, ...]:
    """A prompt as a text tower reads it; `known` are names of embeddings. Raises SamplingError as `encode_text`."""
    own = words(tower.encoder)
    # An embedding that has vectors for another tower only stands for nothing in this one.
    named: Words = {name: own.get(name, ()) for name in (*known, *own)}
    sections = [tokens_of(section, tower.tokenizer, named, syntax) for section in parse_prompt(text, syntax)]
    if tower.spec.kind == "t5":
        # T5 reads long texts in one piece: a section has no chunk of its own.
        sections = [[token for section in sections for token in section]]
    return make_chunks(sections, tower.form)


def _encode_tower(
    text: str, tower: LoadedTower, known: set[str], syntax: Syntax, normalize: Normalize, clip_skip: int
) -> tuple[Tensor, Tensor | None]:
    """[1, chunks * length, D], and the pooled vector [1, P] of the first chunk where the family uses it."""
    import torch

    chunks = chunk_prompt(text, tower, syntax, known)
    outputs: list[TowerOutput] = []

    def encode(chunk: Chunk, seen: Sequence[int] | None) -> Tensor:
        outputs.append(run_tower(tower, chunk.ids, clip_skip, seen))
        return outputs[-1].hidden

    hidden = weigh(chunks, tower.form, encode, syntax, normalize)
    return torch.cat(hidden, dim=1), outputs[0].pooled
