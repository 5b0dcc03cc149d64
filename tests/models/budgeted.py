"""A CPU with little memory: counts the bytes of living tensors, and fails allocations beyond a budget."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Budgeted(TorchDispatchMode):
    """Within the `with` block every new tensor's memory counts, until nothing refers to it any longer.

    Raises torch.OutOfMemoryError, as a CUDA device does, when more than `budget_bytes` would live at once. Scratch
    memory inside of kernels does not count.
    """

    def __init__(self, budget_bytes: float = float("inf")) -> None:
        super().__init__()
        self.budget_bytes = budget_bytes
        self.live_bytes = 0
        self.peak_bytes = 0
        self.failures = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        before = {id(leaf.untyped_storage()) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        found = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(found):
            if isinstance(leaf, Tensor) and id(leaf.untyped_storage()) not in before:
                self._count(leaf.untyped_storage())
        return found

    def _count(self, storage: Any) -> None:
        key = id(storage)
        if key in self._known or not storage.nbytes():
            return
        size = storage.nbytes()
        self._known[key] = weakref.ref(storage, lambda _: self._free(key, size))
        self.live_bytes += size
        if self.live_bytes > self.budget_bytes:
            self.failures += 1
            raise torch.OutOfMemoryError(f"Tried to allocate {size} bytes; the budget is {self.budget_bytes}.")
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)

    def _free(self, key: int, size: int) -> None:
        del self._known[key]
        self.live_bytes -= size


def peak_of(work: Any) -> int:
    """The bytes that `work()` needs at once beside what lives already."""
    with Budgeted() as meter:
        work()
    return meter.peak_bytes
