"""Results in memory, within a byte budget.

Eviction is GreedyDual-Size (Cao and Irani, USENIX 1997): an entry's priority is its recompute cost per byte plus an age
term that rises with every eviction, so cheap, large and long unused results go first.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterable, Mapping
from functools import partial

from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.base import Fleeting, Payloads, Release, Result, nothing_to_release

DEFAULT_BUDGET_BYTES = 2 * 2**30
ENTRY_BYTES = 512
"""What an entry costs beside its payloads; counted, so that very many small results stay within the budget too."""


class _Entry:
    __slots__ = ("nbytes", "priority", "result")

    def __init__(self, result: Result, nbytes: int, age: float) -> None:
        self.result = result
        self.nbytes = nbytes
        self.priority = age + result.elapsed_s / nbytes


class MemoryStore(Fleeting):
    """A `ResultStore` that holds the objects themselves; lost when the process ends."""

    def __init__(self, payloads: Payloads, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self.budget_bytes = budget_bytes
        self.used_bytes = 0
        self._payloads = payloads
        self._entries: dict[CacheKey, _Entry] = {}
        self._heap: list[tuple[float, CacheKey]] = []
        """Empty until something has to go, then one item for each entry: most stores never evict.

        An entry used since has a higher priority than its item says.
        """
        self._age = 0.0
        self._claims: dict[CacheKey, object] = {}
        self._guards: list[frozenset[CacheKey]] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: CacheKey) -> str | None:
        return "memory" if key in self._entries else None

    def load(self, key: CacheKey) -> Result | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        entry.priority = self._age + entry.result.elapsed_s / entry.nbytes
        return entry.result

    def digests(self, key: CacheKey) -> Mapping[str, str] | None:
        entry = self._entries.get(key)
        return None if entry is None else entry.result.digests

    def wants(self, result: Result, *, keep: bool = False) -> bool:
        return True

    def save(self, key: CacheKey, result: Result, *, keep: bool = False) -> None:
        nbytes = self._payloads.size_bytes(result) + ENTRY_BYTES
        if nbytes > self.budget_bytes:
            return
        with self._lock:
            if key in self._entries:  # two runs computed it at once; equal keys mean equal results
                return
            entry = self._entries[key] = _Entry(result, nbytes, self._age)
            self.used_bytes += nbytes
            if self._heap:
                heapq.heappush(self._heap, (entry.priority, key))
            self._make_room()

    def _make_room(self) -> None:
        """Evict until the rest fits the budget, or all that is left is needed by runs that are going on."""
        if self.used_bytes > self.budget_bytes and not self._heap:
            self._heap = [(entry.priority, key) for key, entry in self._entries.items()]
            heapq.heapify(self._heap)
        needed: list[tuple[float, CacheKey]] = []
        while self.used_bytes > self.budget_bytes and self._heap:
            priority, key = self._heap[0]
            entry = self._entries[key]
            if entry.priority > priority:
                heapq.heapreplace(self._heap, (entry.priority, key))
            elif any(key in guarded for guarded in self._guards):
                needed.append(heapq.heappop(self._heap))
            else:
                heapq.heappop(self._heap)
                self._age = priority
                self.used_bytes -= entry.nbytes
                del self._entries[key]
        for item in needed:
            heapq.heappush(self._heap, item)

    def claim(self, key: CacheKey, expected_s: float | None = None) -> Release | None:
        claim = object()
        return partial(self._release, key) if self._claims.setdefault(key, claim) is claim else None

    def _release(self, key: CacheKey) -> None:
        self._claims.pop(key, None)

    def guard(self, keys: Iterable[CacheKey]) -> Release:
        guarded = frozenset(keys)
        if not guarded:
            return nothing_to_release
        with self._lock:
            self._guards.append(guarded)
        return partial(self._unguard, guarded)

    def _unguard(self, guarded: frozenset[CacheKey]) -> None:
        with self._lock:
            self._guards.remove(guarded)
            self._make_room()

    def is_claimed(self, key: CacheKey) -> bool:
        return key in self._claims

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._heap.clear()
            self.used_bytes = 0
