"""Results that are to stay: one empty file for each, so that no damaged index and no older program loses them."""

from __future__ import annotations

import time
from pathlib import Path

from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.objects import make_folder, sync_folder


class Pins:
    """The pinned keys of a disk store. All methods raise OSError when the folder can't be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, key: CacheKey) -> None:
        make_folder(self._folder)
        (self._folder / key.hex()).touch()

    def sync(self) -> None:
        """Let what was added so far survive a loss of power."""
        if self._folder.is_dir():
            sync_folder(self._folder)

    def remove(self, key: CacheKey) -> bool:
        """Whether the key was pinned."""
        try:
            (self._folder / key.hex()).unlink()
        except FileNotFoundError:
            return False
        return True

    def age_s(self, key: CacheKey) -> float:
        """How long ago the key was added; 0 if it is not there."""
        try:
            return time.time() - (self._folder / key.hex()).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def all(self) -> frozenset[CacheKey]:
        try:
            names = [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            return frozenset()
        return frozenset(bytes.fromhex(name) for name in names if set(name) <= set("0123456789abcdef"))
