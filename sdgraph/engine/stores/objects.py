"""Content-addressed files: an object's name is the digest of its bytes, so equal content is stored once.

Files are written beside their place and renamed into it, so a killed process leaves at most a stray temporary file. A
file is checked against its name whenever it is read; no other guarantee about the disk is needed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from sdgraph.core.porttype import Blob
from sdgraph.engine.stores.tensorfile import pack_blobs, unpack_blobs


class ObjectFiles:
    """Safetensors files below one folder, by digest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, digest: str) -> Path:
        return self._folder / digest[:2] / f"{digest}.safetensors"

    def write(self, blobs: Mapping[str, Blob]) -> tuple[str, int]:
        """Store tensors; returns the digest and the bytes of the file. Raises OSError."""
        content = pack_blobs(blobs)
        digest = blake2b(content, digest_size=32).hexdigest()
        path = self.path(digest)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                os.replace(temporary, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary)
                raise
        return digest, len(content)

    def read(self, digest: str) -> dict[str, Blob]:
        """The tensors of an object. Raises OSError when it is missing, ValueError when it is damaged."""
        content = self.path(digest).read_bytes()
        if blake2b(content, digest_size=32).hexdigest() != digest:
            raise ValueError("the content does not match its digest")
        return unpack_blobs(content)

    def all(self) -> Iterator[tuple[str, Path]]:
        """Every object's digest and path; stray temporary files come with an empty digest."""
        for path in sorted(self._folder.glob("??/*")):
            yield ("" if path.name.startswith(".writing-") else path.stem), path
