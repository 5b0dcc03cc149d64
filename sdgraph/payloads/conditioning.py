"""Conditioning: what a denoiser is asked to draw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sdgraph.core.porttype import Encoded, PortType
from sdgraph.payloads.tensors import from_blob, shared, tensor_bytes, to_blob

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class ConditioningEntry:
    """One encoded prompt."""

    embedding: Tensor
    """[1, L, D] float32: one vector per token, chunks one after another."""
    pooled: Tensor | None = None
    """[1, P] float32, for model families that also want the prompt as one vector."""
    negative: bool = False
    """Whether it is what to stay away from. Said while sampling, never stored: some control acts on one side only."""


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """Encoded prompts that apply together. There is at least one."""

    entries: tuple[ConditioningEntry, ...]

    def as_negative(self) -> Conditioning:
        """The same prompts as what to stay away from."""
        return Conditioning(tuple(replace(entry, negative=True) for entry in self.entries))


class ConditioningCodec:
    """Stores conditioning bit for bit."""

    def encode(self, value: Conditioning) -> Encoded:
        """One or two blobs per entry."""
        blobs = {f"{i}.embedding": to_blob(entry.embedding) for i, entry in enumerate(value.entries)}
        for i, entry in enumerate(value.entries):
            if entry.pooled is not None:
                blobs[f"{i}.pooled"] = to_blob(entry.pooled)
        return Encoded({"entries": len(value.entries)}, blobs)

    def decode(self, encoded: Encoded) -> Conditioning:
        """The conditioning, on the CPU."""
        blobs = encoded.blobs
        return Conditioning(
            tuple(
                ConditioningEntry(
                    from_blob(blobs[f"{i}.embedding"]),
                    from_blob(blobs[f"{i}.pooled"]) if f"{i}.pooled" in blobs else None,
                )
                for i in range(encoded.meta["entries"])
            )
        )


def _share(value: Conditioning) -> Conditioning:
    return Conditioning(
        tuple(
            ConditioningEntry(shared(entry.embedding), None if entry.pooled is None else shared(entry.pooled))
            for entry in value.entries
        )
    )


def _size_bytes(value: Conditioning) -> int:
    return sum(tensor_bytes((entry.embedding, entry.pooled)) for entry in value.entries)


CONDITIONING = PortType(
    "Conditioning",
    Conditioning,
    "Encoded prompts: what the denoiser is asked to draw.",
    "#ffb703",
    ConditioningCodec(),
    share=_share,
    size_bytes=_size_bytes,
)
