"""What goes from one device to another while a network runs: conditionings, once each, and counted here alone.

Text encoders may live on the CPU while the denoiser has the device. A prompt then goes to the device once, whatever the
number of steps, stages and samplers; latents are there already, and the rest is a handful of numbers.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from sdgraph.core.context import current_context
from sdgraph.payloads.conditioning import Conditioning, ConditioningEntry
from sdgraph.payloads.tensors import tensor_bytes, to_blob

if TYPE_CHECKING:
    from torch import Tensor

ARRIVALS_BYTES = 64 * 2**20
"""Eight prompts of FLUX.1 at its full length of 512 tokens, or 280 of Stable Diffusion 1.5."""


def send(tensor: Tensor, device: Any, dtype: Any = None) -> Tensor:
    """The tensor on `device`, as numbers of `dtype` (None: its own)."""
    return tensor.to(device=device, dtype=dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """The tensors of one encoded prompt, as in `ConditioningEntry`."""

    embedding: Tensor
    pooled: Tensor | None

    @property
    def size_bytes(self) -> int:
        """Memory of the tensors."""
        return tensor_bytes((self.embedding, self.pooled))

    def sent(self, device: str) -> Prompt:
        """The same on another device; the run whose node runs on this thread is told."""
        if (context := current_context()) is not None:
            context.tell("transfer", what="conditioning", device=device, bytes=self.size_bytes)
        return Prompt(send(self.embedding, device), None if self.pooled is None else send(self.pooled, device))


_Key: TypeAlias = tuple[str, bytes]


class Arrivals:
    """Prompts that are on a device already: the least recently used ones go when they take too much.

    They are known by their content. Nodes get views of their own of one result, and a result may leave the memory and
    be read from disk again; it is one prompt all the same. What was sent is held, never what it was sent from.
    """

    def __init__(self, budget_bytes: int = ARRIVALS_BYTES) -> None:
        """`budget_bytes` are for all devices together; 0 keeps nothing."""
        self._budget = budget_bytes
        self._lock = threading.Lock()
        self._held: OrderedDict[_Key, Prompt] = OrderedDict()

    def fetch(self, prompt: Prompt, device: str) -> tuple[Prompt, bool]:
        """The prompt on `device`, and whether it had to be sent there."""
        if prompt.size_bytes > self._budget or prompt.embedding.device.type != "cpu":
            return prompt.sent(device), True  # to read what lies on another device would be a transfer too
        key = (device, _digest(prompt))
        with self._lock:
            if (found := self._held.get(key)) is not None:
                self._held.move_to_end(key)
                return found, False
            found = self._held[key] = prompt.sent(device)
            while self._held_bytes() > self._budget:
                self._held.popitem(last=False)
        return found, True

    def clear(self, device: str | None = None) -> int:
        """Let go of what is on a device, or of everything; the bytes."""
        with self._lock:
            gone = [key for key in self._held if device in (None, key[0])]
            return sum(self._held.pop(key).size_bytes for key in gone)

    @property
    def held_bytes(self) -> int:
        """Memory of the prompts that are held."""
        with self._lock:
            return self._held_bytes()

    def _held_bytes(self) -> int:
        return sum(prompt.size_bytes for prompt in self._held.values())


class Courier:
    """Brings conditionings to one network's device, each entry once."""

    def __init__(self, device: str, arrivals: Arrivals | None = None) -> None:
        """`device` is named as the tensors there name it. `arrivals` remembers prompts for other networks; without it,
        they are this network's alone.
        """
        self.transfers = 0
        """Encoded prompts that were brought from another device so far."""
        self._device = device
        self._arrivals = arrivals or Arrivals(0)
        self._brought: dict[tuple[int, int], tuple[ConditioningEntry, Prompt]] = {}

    def bring(self, conditionings: Sequence[Conditioning]) -> tuple[Conditioning, ...]:
        """The conditionings with their tensors on the device."""
        return tuple(
            replace(conditioning, entries=tuple(map(self._entry, conditioning.entries)))
            for conditioning in conditionings
        )

    def _entry(self, entry: ConditioningEntry) -> ConditioningEntry:
        if str(entry.embedding.device) == self._device:
            return entry
        key = (id(entry.embedding), id(entry.pooled))
        if key not in self._brought:
            there, was_sent = self._arrivals.fetch(Prompt(entry.embedding, entry.pooled), self._device)
            self.transfers += was_sent
            # The entry that came is held too: its tensors' ids are theirs as long as they live.
            self._brought[key] = (entry, there)
        there = self._brought[key][1]
        return replace(entry, embedding=there.embedding, pooled=there.pooled)


def _digest(prompt: Prompt) -> bytes:
    """Of the tensors' dtypes, shapes and bytes."""
    digest = hashlib.blake2b(digest_size=32)
    for tensor in (prompt.embedding, prompt.pooled):
        blob = None if tensor is None else to_blob(tensor)
        digest.update(repr(blob and (blob.dtype, blob.shape)).encode() + b"\n")
        if blob is not None:
            digest.update(blob.data)
    return digest.digest()
