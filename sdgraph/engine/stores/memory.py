"""Results in memory, within a byte budget.

Eviction is GreedyDual-Size (Cao and Irani, USENIX 1997): an entry's priority is its recompute cost per byte plus an age
term that rises with every eviction, so cheap, large and long unused results go first.
"""

from __future__ import annotations

import heapq
import threading

from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.base import Payloads, Result
from sdgraph.errors import Problem

DEFAULT_BUDGET_BYTES = 2 * 2**30


class _Entry:
    __slots__ = ("cost_per_byte", "nbytes", "priority", "result")

    def __init__(self, result: Result, nbytes: int, age: float) -> None:
        self.result = result
        self.nbytes = nbytes
        self.cost_per_byte = result.elapsed_s / nbytes
        self.priority = age + self.cost_per_byte


class MemoryStore:
    """A `ResultStore` that holds the objects themselves; lost when the process ends."""

    def __init__(self, payloads: Payloads, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self.budget_bytes = budget_bytes
        self.used_bytes = 0
        self._payloads = payloads
        self._entries: dict[CacheKey, _Entry] = {}
        self._heap: list[tuple[float, CacheKey]] = []
        self._age = 0.0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: CacheKey) -> str | None:
        return "memory" if key in self._entries else None

    def load(self, key: CacheKey) -> Result | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        entry.priority = self._age + entry.cost_per_byte
        return entry.result

    def save(self, key: CacheKey, result: Result, *, keep: bool = False) -> None:
        nbytes = max(self._payloads.size_bytes(result), 1)
        if nbytes > self.budget_bytes:
            return
        with self._lock:
            known = self._entries.get(key)
            if known is not None:
                self.used_bytes -= known.nbytes
            entry = self._entries[key] = _Entry(result, nbytes, self._age)
            self.used_bytes += nbytes
            heapq.heappush(self._heap, (entry.priority, key))
            while self.used_bytes > self.budget_bytes:
                self._evict()

    def _evict(self) -> None:
        priority, key = heapq.heappop(self._heap)
        entry = self._entries.get(key)
        if entry is None:
            return
        if entry.priority > priority:  # used since it was pushed
            heapq.heappush(self._heap, (entry.priority, key))
            return
        self._age = priority
        self.used_bytes -= entry.nbytes
        del self._entries[key]

    def drop(self, key: CacheKey) -> None:
        """Forget a result."""
        with self._lock:
            entry = self._entries.pop(key, None)
            if entry is not None:
                self.used_bytes -= entry.nbytes

    def flush(self) -> None:
        """Nothing is pending."""

    def take_problems(self) -> list[Problem]:
        return []
