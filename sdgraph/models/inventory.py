"""The models that a workflow can name here: those that ship, those of the model folders, and those of the hub's cache.

Folders are walked with limits and without following links out of them. Of a safetensors file the header is read, of a
folder its configuration, and both again only when they changed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sdgraph.models.kinds import Known, known_file, known_folder, read_json
from sdgraph.models.source import builtin_folders
from sdgraph.payloads.places import model_folders

MAX_MODELS = 2000
MAX_ENTRIES = 20_000
"""Files and folders that are looked at."""
_MAX_DEPTH = 6
_ENDING = ".safetensors"
_ALONE = frozenset({"pytorch_lora_weights", "learned_embeds", "diffusion_pytorch_model", "model"})
"""Names that programs give to the one file of a folder: the folder's name says more."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A model that is here."""

    source: str
    """What a node's `source` takes."""
    known: Known
    size_bytes: int
    """Of its file; of a folder, of the weights in it and below it."""
    origin: str
    """`builtin`, `folder` or `hub`."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The models that were found."""

    models: tuple[Installed, ...]
    truncated: bool
    """There may be more: a limit was reached."""


class Inventory:
    """Lists models, and remembers what files were found to be. Threads may share it."""

    def __init__(self, hub: Callable[[], Path | None] | None = None) -> None:
        """`hub` gives the folder of the hub's cache."""
        self._hub = hub or _hub_cache
        self._known: dict[Path, tuple[tuple[int, int], Known | None]] = {}
        self._lock = threading.Lock()

    def list(self) -> Listed:
        """The models that are here now, built-in ones first, then by reference."""
        with self._lock:
            walk = _Walk(self._known)
            found = list(islice(self._all(walk), MAX_MODELS + 1))
            self._known = walk.seen
        by_source: dict[str, Installed] = {}
        for model in found[:MAX_MODELS]:
            by_source.setdefault(model.source, model)  # of two folders with one name the first counts
        ordered = sorted(by_source.values(), key=lambda model: (model.origin != "builtin", model.source.casefold()))
        return Listed(tuple(ordered), walk.left <= 0 or len(found) > MAX_MODELS)

    def _all(self, walk: _Walk) -> Iterator[Installed]:
        for folder in builtin_folders():
            yield from walk.models(folder, f"builtin:{folder.name}", "builtin")
        for folder in model_folders():
            yield from walk.models(folder, "", "folder")
        if hub := self._hub():
            for place, source in _snapshots(hub):
                yield from walk.models(place, source, "hub", within=hub)


class _Walk:
    """One look at all folders."""

    def __init__(self, known: dict[Path, tuple[tuple[int, int], Known | None]]) -> None:
        self.left = MAX_ENTRIES
        self.seen: dict[Path, tuple[tuple[int, int], Known | None]] = {}
        self._known = known

    def models(self, root: Path, source: str, origin: str, within: Path | None = None) -> Iterator[Installed]:
        """The models of a folder; `source` is its own reference, "" when it is none."""
        try:
            inside = (within or root).resolve(strict=True)
        except OSError:
            return
        yield from self._folder(root, source, origin, inside, _MAX_DEPTH)

    def _folder(self, folder: Path, source: str, origin: str, inside: Path, depth: int) -> Iterator[Installed]:
        entries = list(self._entries(folder, inside))
        files = [entry for entry in entries if entry.suffix == _ENDING and entry.is_file()]
        folders = [entry for entry in entries if entry.is_dir()]
        described = self._of_folder(folder) if source else None
        parts = read_json(folder / "model_index.json") or {}
        if described is not None:
            yield Installed(source, described, _weights_bytes(folder, parts), origin)
        elif source and len(files) == 1 and files[0].stem in _ALONE:
            yield from self._file(files[0], source, origin)
        else:
            for file in files:
                yield from self._file(file, _below(source, file.name), origin)
        for below in folders:
            if depth and below.name not in parts:
                yield from self._folder(below, _below(source, below.name), origin, inside, depth - 1)

    def _entries(self, folder: Path, inside: Path) -> Iterator[Path]:
        """What lies in a folder, by name; links that lead out of the place are left out, as loaders refuse them."""
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            return
        for name in names:
            self.left -= 1
            if self.left < 0:
                return
            place = folder / name
            if not name.startswith(".") and (not place.is_symlink() or place.resolve().is_relative_to(inside)):
                yield place

    def _file(self, file: Path, source: str, origin: str) -> Iterator[Installed]:
        try:
            size_bytes = file.stat().st_size
            known = self._remembered(file, file, known_file)
        except OSError:  # it went meanwhile, or may not be read
            return
        if known is not None:
            yield Installed(source, known, size_bytes, origin)

    def _of_folder(self, folder: Path) -> Known | None:
        for name in ("model_index.json", "config.json"):
            if (described := folder / name).is_file():
                try:
                    return self._remembered(described, folder, known_folder)
                except OSError:
                    return None
        return None

    def _remembered(self, dated: Path, place: Path, look: Callable[[Path], Known | None]) -> Known | None:
        """What a place is, looked at again when `dated` changed."""
        status = dated.stat()
        version = (status.st_mtime_ns, status.st_size)
        before = self._known.get(dated)
        known = before[1] if before is not None and before[0] == version else look(place)
        self.seen[dated] = (version, known)
        return known


def _below(source: str, name: str) -> str:
    return f"{source}/{name}" if source else name


def _weights_bytes(folder: Path, parts: Iterable[str]) -> int:
    """Bytes of the weights of a folder and of these parts of it."""
    files = (file for place in (folder, *(folder / part for part in parts)) for file in place.glob(f"*{_ENDING}"))
    return sum(file.stat().st_size for file in files if file.is_file())


def _snapshots(hub: Path) -> Iterator[tuple[Path, str]]:
    """The newest snapshot of each model in the hub's cache, with its reference."""
    for folder in sorted(hub.glob("models--*")):
        try:
            revision = (folder / "refs" / "main").read_text().strip()
        except (OSError, UnicodeDecodeError):
            continue
        if revision.isalnum():
            name = folder.name.removeprefix("models--").replace("--", "/")
            yield folder / "snapshots" / revision, f"hf:{name}"


def _hub_cache() -> Path | None:
    from huggingface_hub.constants import HF_HUB_CACHE

    place = Path(HF_HUB_CACHE)
    return place if place.is_dir() else None
