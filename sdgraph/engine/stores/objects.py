"""Content-addressed files: an object's name is the digest of its bytes, so equal content is stored once.

Files are written beside their place and renamed into it, so a killed process leaves at most a stray temporary file.
The file, then its name, are on the disk before anything refers to them, so that losing power loses at most the work in
flight. A file is checked whenever it is read; no other guarantee about the disk is needed. Its name is the SHA-256 of
its content (the fastest where the CPU computes it), which takes longer than reading. So whoever refers to a file also
remembers its XXH3 (Collet, 128 bits): it finds damage as surely, and is no protection against forgery, for which one
who can write to the folder has easier ways.
"""

from __future__ import annotations

import mmap
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from xxhash import xxh3_128

from sdgraph.core.porttype import Blob
from sdgraph.engine.stores.tensorfile import pack_blobs, unpack_blobs

_WRITING = ".writing-"
_LARGE_BYTES = 2**22
"""From here on, giving the process memory in small pages takes longer than reading."""


class DamagedObject(ValueError):
    """A file whose content does not match its name."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"the content of {digest[:12]} does not match its digest")
        self.digest = digest


class Written(NamedTuple):
    """An object that is stored."""

    digest: str
    check: str
    """XXH3 of the content."""
    nbytes: int
    is_new: bool
    """Whether no file had this content before."""


class ObjectFiles:
    """Safetensors files below one folder, by the SHA-256 of their content."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, digest: str) -> Path:
        return self._folder / digest[:2] / f"{digest}.safetensors"

    def write(self, blobs: Mapping[str, Blob]) -> Written:
        """Store tensors. Raises OSError."""
        content, name, fast = pack_blobs(blobs), sha256(), xxh3_128()
        for part in content:
            name.update(part)
            fast.update(part)
        digest, check, nbytes = name.hexdigest(), fast.hexdigest(), sum(len(part) for part in content)
        path = self.path(digest)
        if self._is_intact(digest):
            with suppress(FileNotFoundError):
                self.touch(digest)
                return Written(digest, check, nbytes, False)
        is_new = not path.exists()
        self._write(path, content)
        return Written(digest, check, nbytes, is_new)

    def touch(self, digest: str) -> None:
        """Let whoever cleans up see that an object is wanted. Raises FileNotFoundError if that comes too late."""
        now = time.time_ns()  # the file system's own clock may be a few milliseconds behind
        os.utime(self.path(digest), ns=(now, now))

    def _is_intact(self, digest: str) -> bool:
        # A file that is there may be damaged: trusting it would lose the result just computed.
        try:
            return sha256(self.path(digest).read_bytes()).hexdigest() == digest
        except OSError:
            return False

    def _write(self, path: Path, content: list[bytes | memoryview]) -> None:
        make_folder(path.parent)
        temporary = path.parent / f"{_WRITING}{uuid.uuid4().hex}"
        try:
            with temporary.open("wb") as file:
                file.writelines(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise

    def read(self, digest: str, check: str | None = None) -> dict[str, Blob]:
        """The tensors of an object; without `check` it is compared with its name.

        Raises OSError when it can't be read, DamagedObject when it is not what it was.
        """
        content = _read(self.path(digest))
        found = sha256(content) if check is None else xxh3_128(content)
        if found.hexdigest() != (digest if check is None else check):
            raise DamagedObject(digest)
        return unpack_blobs(content)

    def read_by_name(self, digest: str, check: str | None = None) -> dict[str, Blob]:
        """The tensors of an object, compared with its name whatever else is known. Raises as `read`."""
        return self.read(digest)

    def remove_damaged(self, digest: str) -> None:
        """Remove an object, unless somebody has replaced it by a good one. Raises OSError."""
        if not self._is_intact(digest):
            self.path(digest).unlink(missing_ok=True)

    def all(self) -> Iterator[tuple[str, Path]]:
        """Every object's digest and path; temporary files come with an empty digest."""
        for path in self._folder.glob("??/*"):
            yield ("" if path.name.startswith(_WRITING) else path.stem), path


def remove_unless_newer(path: Path, than: float) -> bool:
    """Remove a file that nobody has wanted since `than` (seconds since 1970). Raises OSError."""
    try:
        if path.stat().st_mtime > than:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _read(path: Path) -> bytes | memoryview:
    with path.open("rb", buffering=0) as file:
        nbytes = os.fstat(file.fileno()).st_size
        if nbytes < _LARGE_BYTES or os.name != "posix":
            return file.readall()
        place, done = _in_large_pages(nbytes), 0
        while count := file.readinto(place[done:]):
            done += count
    return place[:done].toreadonly()


def _in_large_pages(nbytes: int) -> memoryview:
    """Fresh memory, in pages of 2 MiB where the system has them: three times as fast to fill. Raises OSError."""
    place = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):
            place.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(place)


def make_folder(folder: Path) -> None:
    """Make a folder whose name, and those of the folders that it needs, are on the disk. Raises OSError."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where folders can be opened for that."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
