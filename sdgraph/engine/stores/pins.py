"""Results that are to stay: one empty file for each, so that no damaged index and no older program loses them."""

from __future__ import annotations

from pathlib import Path

from sdgraph.engine.cachekey import CacheKey


class Pins:
    """The pinned keys of a disk store. All methods raise OSError when the folder can't be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, key: CacheKey) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / key.hex()).touch()

    def remove(self, key: CacheKey) -> bool:
        """Whether the key was pinned."""
        try:
            (self._folder / key.hex()).unlink()
        except FileNotFoundError:
            return False
        return True

    def all(self) -> frozenset[CacheKey]:
        try:
            names = [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            return frozenset()
        return frozenset(bytes.fromhex(name) for name in names if set(name) <= set("0123456789abcdef"))
