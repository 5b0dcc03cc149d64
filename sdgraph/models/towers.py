"""Text towers: the text models of a checkpoint, and how what they say becomes one conditioning.

| family | sequence | pooled |
|---|---|---|
| sd1, sd2 | CLIP, last layer, normalised | |
| sdxl | two CLIPs, second-last layers, side by side | second CLIP, projected |
| sdxl_refiner | one CLIP, second-last layer | projected |
| sd3 | two CLIPs, second-last layers, side by side, padded with zeros; then T5 | both CLIPs, projected |
| flux | T5 | CLIP |

Sources: Podell et al. 2023, arXiv:2307.01952, section 2.1; Esser et al. 2024, arXiv:2403.03206, figure 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdgraph.errors import SamplingError
from sdgraph.models.chunks import ChunkFormat
from sdgraph.payloads.conditioning import ConditioningEntry
from sdgraph.payloads.handles import TextEncoderHandle, TextTower

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True, eq=False)
class LoadedTower:
    """A tokenizer and a text model with weights."""

    spec: TextTower
    tokenizer: Any
    encoder: Any

    @property
    def form(self) -> ChunkFormat:
        """How this tower wants to read tokens."""
        return ChunkFormat(
            length=self.spec.max_tokens,
            start_id=None if self.spec.kind == "t5" else self.tokenizer.bos_token_id,
            end_id=self.tokenizer.eos_token_id,
            pad_id=self.tokenizer.pad_token_id,
            comma_id=self.tokenizer.get_vocab().get("," if self.spec.kind == "t5" else ",</w>"),
        )


@dataclass(frozen=True, slots=True, eq=False)
class TextModel:
    """All text towers of a checkpoint."""

    handle: TextEncoderHandle
    towers: tuple[LoadedTower, ...]

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """The text models."""
        return tuple(tower.encoder for tower in self.towers)

    @property
    def tokenizer(self) -> Any:
        """The first tower's tokenizer."""
        return self.towers[0].tokenizer

    @property
    def encoder(self) -> Any:
        """The first tower's text model."""
        return self.towers[0].encoder

    def require_clip_skip(self, clip_skip: int) -> None:
        """Raises SamplingError [clip-skip] as `require_clip_skip` does."""
        require_clip_skip(self.handle, clip_skip)


def require_clip_skip(handle: TextEncoderHandle, clip_skip: int) -> None:
    """Raises SamplingError [clip-skip] unless every CLIP tower has so many layers to leave out."""
    skippable = [_skippable(tower) for tower in handle.towers if tower.layer != "none"]
    most = min([most for most in skippable if most is not None], default=0)
    if not 0 <= clip_skip <= most:
        raise SamplingError(
            "clip-skip",
            f"clip_skip leaves out 0 to {most} of this text encoder's layers, found {clip_skip}.",
            "Use 0, or 1 where other tools say 2." if most else "This model's pictures follow T5: use 0.",
            port="clip_skip",
        )


@dataclass(frozen=True, slots=True, eq=False)
class TowerOutput:
    """What a tower makes of one chunk of tokens."""

    hidden: Tensor
    """[1, L, D]: one vector per token, from the layer that the family uses."""
    pooled: Tensor | None
    """[1, P]: the whole chunk as one vector; None when the family does not use this tower's."""


def run_tower(
    tower: LoadedTower, ids: Sequence[int], clip_skip: int = 0, seen: Sequence[int] | None = None
) -> TowerOutput:
    """What the tower makes of token ids, in its dtype and on its device; `clip_skip` more layers are left out.

    `seen` says of each token whether the others see it (1) or not (0); None: all are seen.
    """
    import torch

    spec, encoder = tower.spec, tower.encoder
    with torch.no_grad():
        tokens = torch.tensor([list(ids)], device=encoder.device)
        deep = spec.layer == "penultimate" or (spec.layer == "last" and clip_skip > 0)
        options: dict[str, Any] = {"output_hidden_states": deep} if spec.kind == "clip" else {}
        if seen is not None:
            options["attention_mask"] = torch.tensor([list(seen)], device=encoder.device)
        output = encoder(tokens, **options)
        pooled = getattr(output, "text_embeds", None) if spec.projected else getattr(output, "pooler_output", None)
        return TowerOutput(_hidden(spec, encoder, output, clip_skip), pooled if spec.pooled_width else None)


def join_towers(model: TextModel, embeddings: Sequence[Tensor], pooled: Sequence[Tensor | None]) -> ConditioningEntry:
    """One conditioning from what each tower made of the prompt: embeddings [1, L_i, D_i] (chunks already joined) and
    pooled vectors [1, P_i] or None; float32 on the CPU.
    """
    import torch

    by_kind = [
        [embedding.float().cpu() for tower, embedding in zip(model.towers, embeddings, strict=True) if wanted(tower)]
        for wanted in (_gives_clip_sequence, _is_t5)
    ]
    clips, t5s = by_kind
    parts = [_side_by_side(clips)] if clips else []
    if model.handle.family == "sd3":
        parts = [_widened(part, model.handle.conditioning_width) for part in parts]
        parts += t5s or [torch.zeros(1, SD3_T5_TOKENS, model.handle.conditioning_width)]
    else:
        parts += t5s
    vectors = [vector.float().cpu() for vector in pooled if vector is not None]
    return ConditioningEntry(torch.cat(parts, dim=1), torch.cat(vectors, dim=-1) if vectors else None)


SD3_T5_TOKENS = 256
"""Zero vectors that stand for an SD 3 model's missing T5; as many as diffusers takes."""


def _gives_clip_sequence(tower: LoadedTower) -> bool:
    return tower.spec.kind == "clip" and tower.spec.layer != "none"


def _is_t5(tower: LoadedTower) -> bool:
    return tower.spec.kind == "t5"


def _hidden(spec: TextTower, encoder: Any, output: Any, clip_skip: int) -> Tensor:
    """[1, L, D]. Of the second-last layer as it is; of the last one that is not skipped, normalised as the last is."""
    if spec.layer == "penultimate":
        return output.hidden_states[-(clip_skip + 2)]
    if spec.layer == "last" and clip_skip and spec.kind == "clip":
        # transformers 5.6 moved the layers up; before, they were in `text_model`.
        return getattr(encoder, "text_model", encoder).final_layer_norm(output.hidden_states[-(clip_skip + 1)])
    return output.last_hidden_state


def _skippable(spec: TextTower) -> int | None:
    if spec.kind == "t5":
        return None
    return spec.layers - (2 if spec.layer == "penultimate" else 1)


def _side_by_side(embeddings: Sequence[Tensor]) -> Tensor:
    """[1, L, sum of D_i]; a shorter sequence is lengthened by its last vector."""
    import torch

    length = max(embedding.shape[1] for embedding in embeddings)
    lengthened = [
        torch.cat([embedding, embedding[:, -1:].expand(-1, length - embedding.shape[1], -1)], dim=1)
        for embedding in embeddings
    ]
    return torch.cat(lengthened, dim=-1)


def _widened(embedding: Tensor, width: int) -> Tensor:
    """[1, L, width]: zeros behind each vector."""
    import torch

    return torch.nn.functional.pad(embedding, (0, width - embedding.shape[-1]))
