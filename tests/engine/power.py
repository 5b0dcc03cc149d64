"""A disk that loses its power: which files and names are left at every moment, by the strictest rules that a disk has.

Content that was not synchronised may be there, be missing, or be torn; so may names in a folder that was not. SQLite's
own file is taken to be as SQLite left it: that it keeps the order of what it writes there is its own test's business.
Its log, which the store synchronises, is not.
"""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from sdgraph.engine.stores.index import Index

KINDS = ("gone", "torn", "there")
"""What becomes of content that was not synchronised."""


@dataclass(frozen=True)
class Moment:
    """What there is, and what of it is on the disk for certain."""

    doing: str
    names: dict[int, dict[str, int]]
    contents: dict[int, bytes]
    sure_names: dict[int, dict[str, int]]
    sure_contents: dict[int, bytes]


@dataclass
class Power:
    """Records a folder's moments. Files and folders are told apart by their inodes."""

    root: Path
    moments: list[Moment] = field(default_factory=list[Moment])
    _names: dict[int, dict[str, int]] = field(default_factory=dict[int, dict[str, int]])
    _contents: dict[int, bytes] = field(default_factory=dict[int, bytes])

    def note(self, doing: str) -> None:
        """Power may fail here."""
        names: dict[int, dict[str, int]] = {}
        contents: dict[int, bytes] = {}
        for folder, folders, files in os.walk(self.root):
            place = Path(folder)
            names[place.stat().st_ino] = {name: (place / name).stat().st_ino for name in (*folders, *files)}
            contents.update({(place / name).stat().st_ino: (place / name).read_bytes() for name in files})
        moment = Moment(doing, names, contents, dict(self._names), dict(self._contents))
        if self.moments and replace(self.moments[-1], doing=doing) == moment:
            if doing.startswith("before"):  # nothing has happened since
                return
            self.moments.pop()
        self.moments.append(moment)

    def synchronised(self, handle: int) -> None:
        """A file's content, or a folder's names, are on the disk."""
        place = Path(os.readlink(f"/proc/self/fd/{handle}"))
        inode = os.fstat(handle).st_ino
        if place.is_dir():
            self._names[inode] = {path.name: path.stat().st_ino for path in place.iterdir()}
        else:
            self._contents[inode] = place.read_bytes()

    @contextmanager
    def recording(self, patch: pytest.MonkeyPatch) -> Generator[None]:
        """Note a moment before and after everything that a store does to its files."""

        def watch(target: Any, name: str, then: Callable[..., object] = lambda *_: None) -> None:
            original = getattr(target, name)

            def step(*arguments: Any, **options: Any) -> Any:
                self.note(f"before {name}")
                found = original(*arguments, **options)
                then(*arguments)
                self.note(f"after {name}")
                return found

            inside.setattr(target, name, step)

        with patch.context() as inside:
            watch(os, "fsync", self.synchronised)
            for name in ("replace", "mkdir", "unlink", "utime"):
                watch(os, name)
            for name in ("put", "remove", "remove_unused", "add_to_totals"):
                watch(Index, name)
            yield


def after_power_failed(moment: Moment, root: int, target: Path, *, names_there: bool, kind: str) -> None:
    """Lay a folder out as it may be found. Unsynchronised names are all there or all gone; `kind` is one of `KINDS`."""
    names = moment.names if names_there else moment.sure_names
    target.mkdir()
    pending = [(root, target)]
    while pending:
        folder, place = pending.pop()
        for name, inode in names.get(folder, {}).items():
            if inode in moment.names or inode in moment.sure_names:
                (place / name).mkdir()
                pending.append((inode, place / name))
            elif not name.endswith("-shm"):  # SQLite makes it anew
                (place / name).write_bytes(_content(moment, name, inode, kind))


def _content(moment: Moment, name: str, inode: int, kind: str) -> bytes:
    now, sure = moment.contents.get(inode, b""), moment.sure_contents.get(inode, b"")
    if kind == "there" or name == "index.sqlite3":
        return now
    if kind == "gone" or now == sure:
        return sure
    begun = len(sure) + (len(now) - len(sure)) // 2 if now.startswith(sure) else len(now) // 2
    return now[:begun] + bytes(len(now) - begun)
