"""Where long nodes stood when they were interrupted: one file for each key that is being computed.

A checkpoint is no result. It is not in the index, nothing finds it but the node that computes the same key again, and
it goes when that has its result. A file that is not whole is as good as none.
"""

from __future__ import annotations

import json
import os
import struct
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from sdgraph.core.porttype import Blob, Encoded
from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.base import Payloads
from sdgraph.engine.stores.tensorfile import pack_blobs, unpack_blobs

_MAGIC = b"sdgraph-checkpoint@1\n"
_LENGTH = struct.Struct("<Q")
_WRITING = ".writing-"
KEEP_S = 7 * 24 * 3600.0
"""How long the checkpoint of a run that nobody took up again is kept."""


class Checkpoints:
    """The checkpoints below one folder. A value is a payload whose type can be stored, or plain JSON."""

    def __init__(self, folder: Path, payloads: Payloads) -> None:
        self._folder = folder
        self._payloads = payloads

    def save(self, key: CacheKey, value: Any) -> None:
        """Keep a value in place of the one before. Raises OSError, and TypeError for what can't be stored."""
        parts = self._payloads.encode(value)
        if parts is None:
            raise TypeError(f"a {type(value).__name__} can't be stored")
        type_name, encoded = parts
        head = json.dumps({"type": type_name, "meta": encoded.meta}).encode()
        content = [_LENGTH.pack(len(head)), head, *pack_blobs(encoded.blobs)]
        digest = sha256()
        for part in content:
            digest.update(part)
        self._write(self._path(key), [_MAGIC, digest.digest(), *content])

    def _write(self, path: Path, content: list[bytes | memoryview]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{_WRITING}{uuid.uuid4().hex}")
        try:
            with temporary.open("wb") as file:
                file.writelines(content)
                file.flush()
                os.fsync(file.fileno())  # the name may still be lost with the power; then the one before is used
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise

    def load(self, key: CacheKey) -> Any | None:
        """The value of a key; None when there is none, or it is damaged or of a type that is not known."""
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        start = len(_MAGIC) + sha256().digest_size
        rest = memoryview(content)[start:]
        if content[:start] != _MAGIC + sha256(rest).digest():
            return None
        try:
            return self._decode(rest)
        except Exception:  # written by a version whose types were others
            return None

    def _decode(self, content: memoryview) -> Any:
        (length,) = _LENGTH.unpack_from(content)
        head = json.loads(bytes(content[_LENGTH.size : _LENGTH.size + length]))
        blobs: dict[str, Blob] = unpack_blobs(content[_LENGTH.size + length :])
        return self._payloads.decode(head["type"], Encoded(head["meta"], blobs))

    def drop(self, key: CacheKey) -> None:
        """Remove the checkpoint of a key that has its result; no error if that can't be done."""
        with suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def totals(self) -> tuple[int, int]:
        """How many there are, and their bytes. Raises OSError."""
        sizes = [path.stat().st_size for key, path in self._all() if key is not None]
        return len(sizes), sum(sizes)

    def collect(self, has_result: Callable[[CacheKey], bool]) -> int:
        """Remove those of keys that have a result, and old ones; gives the bytes freed. Raises OSError."""
        freed, before = 0, time.time() - KEEP_S
        for key, path in tuple(self._all()):
            with suppress(FileNotFoundError):
                status = path.stat()
                if status.st_mtime < before or (key is not None and has_result(key)):
                    path.unlink()
                    freed += status.st_size
        return freed

    def clear(self) -> None:
        """Remove all. Raises OSError."""
        for key, path in tuple(self._all()):
            if key is not None:  # another process may be writing a temporary file
                path.unlink(missing_ok=True)

    def _path(self, key: CacheKey) -> Path:
        return self._folder / key.hex()

    def _all(self) -> Iterator[tuple[CacheKey | None, Path]]:
        with suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                yield None if path.name.startswith(_WRITING) else bytes.fromhex(path.name), path
