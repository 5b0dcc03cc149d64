"""What a run's reader has not read yet: bounded, and closed by either side."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")
_MAX_WAITING = 256


class Inbox(Generic[T]):
    """A queue of one writer and one reader. A full one lets the writer wait, so that nothing grows without bound."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self._ended = False
        self._closed = False

    async def put(self, item: T) -> None:
        """Add an item when there is room; nothing happens when the reader has gone."""
        while len(self._items) >= _MAX_WAITING and not self._closed:
            self._taken.clear()
            await self._taken.wait()
        if not self._closed:
            self._items.append(item)
            self._changed.set()

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._changed.set()

    def close(self) -> None:
        """The reader goes."""
        self._closed = True
        self._taken.set()

    async def take(self) -> T | None:
        """The next item; None when nothing more will come."""
        while not self._items:
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        self._taken.set()
        return self._items.popleft()
