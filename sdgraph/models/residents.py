"""The models that the pool holds, and which of them has to go first when a device's budget is used up."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sdgraph.models.compiled import CompiledBlocks
from sdgraph.models.patches.state import ModelState
from sdgraph.models.placing import CPU
from sdgraph.models.pool_events import name_of
from sdgraph.models.streaming import Streamed
from sdgraph.payloads.handles import ModelHandle, PoolKey

Key = tuple[str, str, str, str, int]
"""A handle's `pool_key`, the device on which it runs, and the number of the copy."""

OTHER_DEVICES = "*"
"""In budgets by device: every device that has no entry of its own."""


@dataclass(eq=False)
class Slot:
    """One model's place. `lock` is held by the thread that runs, loads or moves the model, and by nobody else."""

    home: str
    """The device on which it runs."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    model: Any = None
    state: ModelState | None = None
    name: str = ""
    place: str = ""
    """The device where its weights are; of a streamed model, where they come."""
    streamed: Streamed | None = None
    """Of a model whose weights wait on the CPU and come piece by piece."""
    attention: str = "auto"
    """How it computes attention."""
    compiled: CompiledBlocks | None = None
    """Of a denoiser whose blocks are compiled."""
    leases: int = 0
    """How often the thread that holds `lock` has leased the model."""
    expected_bytes: int = 0
    """Of the weights, by the headers of their files; 0: not known."""
    weights_bytes: int = 0
    size_bytes: int = 0
    """At its place: of the weights and of what patches keep beside them."""
    host_bytes: int = 0
    """The same on the CPU, of a streamed model."""
    users: int = 0
    """Threads that run, load or move the model, or wait for it."""
    last_used: int = 0

    def take(self, model: Any, handle: ModelHandle, weights_bytes: int, place: str) -> None:
        """Hold a model that was just loaded to `place`."""
        self.model, self.state = model, ModelState(model)
        self.name, self.place = name_of(handle), place
        self.weights_bytes = self.size_bytes = weights_bytes

    def drop(self) -> int:
        """Let go of the model; returns the bytes that it had."""
        freed = self.size_bytes + self.host_bytes
        self.model = self.state = self.compiled = self.streamed = None
        self.weights_bytes = self.size_bytes = self.host_bytes = 0
        return freed

    def measure(self) -> None:
        """Count again what the model takes, and where."""
        assert self.state is not None  # asked of a model that is there
        whole = self.weights_bytes + self.state.extra_bytes
        self.size_bytes, self.host_bytes = (whole, 0) if self.streamed is None else (self.streamed.device_bytes, whole)


@dataclass(frozen=True, slots=True)
class Resident:
    """A model in memory, as `ModelPool.residents` lists it."""

    model: str
    device: str
    """Where its weights are."""
    home: str
    """Where it runs; another device than `device` when it was offloaded."""
    bytes: int
    """On `device`."""
    users: int
    pinned: bool
    streamed: bool = False
    """Whether it waits on the CPU, and comes to `device` piece by piece."""


class Residents:
    """Slots by key, with the questions that budgets ask. Every method needs the pool's lock to be held."""

    def __init__(self, budgets: Mapping[str, int] | int | None) -> None:
        self.slots: dict[Key, Slot] = {}
        self.pinned: set[PoolKey] = set()
        self._budgets = budgets

    def budget_of(self, device: str) -> int | None:
        """Bytes that models may take on a device; None: no limit."""
        if not isinstance(self._budgets, Mapping):
            return self._budgets
        return self._budgets.get(device, self._budgets.get(OTHER_DEVICES))

    def bytes_on(self, device: str | None = None) -> int:
        """Memory of models on a device, or on all."""
        waiting = sum(slot.host_bytes for slot in self.slots.values()) if device in (None, CPU) else 0
        return waiting + sum(slot.size_bytes for slot in self.slots.values() if device in (None, slot.place))

    def fits(self, device: str, more_bytes: int) -> bool:
        """Whether a device's budget leaves room for so many bytes more."""
        budget = self.budget_of(device)
        return budget is None or self.bytes_on(device) + more_bytes <= budget

    def idle(self, device: str | None = None) -> Iterator[tuple[Key, Slot]]:
        """Models that nobody uses and nobody pinned, the least recently used first."""
        for key, slot in sorted(self.slots.items(), key=lambda entry: entry[1].last_used):
            is_there = slot.model is not None and device in (None, slot.place)
            if is_there and not slot.users and key[:3] not in self.pinned:
                yield key, slot

    def first_to_go(self, device: str, more_bytes: int = 0) -> tuple[Key, Slot] | None:
        """The model to remove from a device so that `more_bytes` fit; None: they do, or nothing can go."""
        return None if self.fits(device, more_bytes) else next(self.idle(device), None)

    def forget_if_empty(self, key: Key, slot: Slot) -> None:
        """Remove a place that holds nothing and that nobody waits for."""
        if slot.model is None and not slot.users:
            self.slots.pop(key, None)

    def listed(self) -> tuple[Resident, ...]:
        """What is in memory, the most recently used first."""
        return tuple(
            Resident(
                slot.name,
                slot.place,
                slot.home,
                slot.size_bytes,
                slot.users,
                key[:3] in self.pinned,
                slot.streamed is not None,
            )
            for key, slot in sorted(self.slots.items(), key=lambda entry: -entry[1].last_used)
            if slot.model is not None
        )
