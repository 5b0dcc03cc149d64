"""What goes from one device to another while a network runs: conditionings, once each, and counted here alone.

Text encoders may live on the CPU while the denoiser has the device. A prompt then goes to the device once, whatever the
number of steps; latents are there already, and the rest is a handful of numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdgraph.core.context import current_context
from sdgraph.payloads.conditioning import Conditioning, ConditioningEntry

if TYPE_CHECKING:
    from torch import Tensor


def send(tensor: Tensor, device: Any, dtype: Any = None) -> Tensor:
    """The tensor on `device`, as numbers of `dtype` (None: its own)."""
    return tensor.to(device=device, dtype=dtype)


class Courier:
    """Brings conditionings to one network's device; each entry travels once while the network is open."""

    def __init__(self, device: Any) -> None:
        self.transfers = 0
        """Encoded prompts that were brought from another device so far."""
        self._device = device
        self._brought: dict[tuple[int, int], tuple[ConditioningEntry, ConditioningEntry]] = {}

    def bring(self, conditionings: Sequence[Conditioning]) -> tuple[Conditioning, ...]:
        """The conditionings with their tensors on the device."""
        return tuple(
            replace(conditioning, entries=tuple(map(self._entry, conditioning.entries)))
            for conditioning in conditionings
        )

    def _entry(self, entry: ConditioningEntry) -> ConditioningEntry:
        if entry.embedding.device == self._device:
            return entry
        key = (id(entry.embedding), id(entry.pooled))
        if key not in self._brought:
            # The entry that came is held too: its tensors' ids are theirs as long as they live.
            self._brought[key] = (entry, self._sent(entry))
        there = self._brought[key][1]
        return replace(entry, embedding=there.embedding, pooled=there.pooled)

    def _sent(self, entry: ConditioningEntry) -> ConditioningEntry:
        self.transfers += 1
        tensors = [tensor for tensor in (entry.embedding, entry.pooled) if tensor is not None]
        if (context := current_context()) is not None:
            context.tell(
                "transfer", what="conditioning", device=str(self._device), bytes=sum(t.nbytes for t in tensors)
            )
        pooled = None if entry.pooled is None else send(entry.pooled, self._device)
        return replace(entry, embedding=send(entry.embedding, self._device), pooled=pooled)
