"""Fingerprints: digests of what model files contain. A renamed model has the same one, a changed model another.

Digests of large files are remembered by the file's identity, so that planning on a warm machine reads no weights.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from sdgraph.errors import ModelError
from sdgraph.models.home import models_home
from sdgraph.models.weights import check_whole

_DIGEST_BYTES = 16
_SETTLED_S = 2.0
"""Times on file systems tick: every few milliseconds on most, every two seconds on the coarsest (FAT)."""
_known: dict[str, tuple[list[int], str]] = {}
"""What this process knows of files: identity and digest, by path as it was given."""


def fingerprint_files(root: Path, files: Iterable[Path]) -> str:
    """Digest (32 hex digits) of the files' names relative to `root` and contents. Their order does not matter.

    Raises ModelError [model-missing], or [model-damaged] for a safetensors file that is not whole.
    """
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for path in sorted(files):
        digest.update(f"{path.relative_to(root).as_posix()}\0{file_digest(path)}\0".encode())
    return digest.hexdigest()


def combine(*fingerprints: str) -> str:
    """One fingerprint of several, in this order."""
    return hashlib.blake2b("\0".join(fingerprints).encode(), digest_size=_DIGEST_BYTES).hexdigest()


def file_digest(path: Path) -> str:
    """Digest of a file's content, read again only when its size, times or inode changed.

    A file that was written a moment ago may be written again without a trace in its times, so its digest is not
    remembered yet (Git calls such entries racy).
    """
    try:
        began = time.time()
        identity = _identity(path)
        known = _recall(path, identity)
        if known is not None:
            return known
        if path.suffix == ".safetensors":
            check_whole(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES)).hexdigest()
        if _identity(path) == identity and began - _changed_at(identity) >= _SETTLED_S:
            _remember(path, identity, digest)
    except OSError as error:
        raise ModelError(
            "model-missing", f"{path} can't be read: {error.strerror}.", "Check the file and its permissions."
        ) from error
    return digest


def changed(source: str) -> ModelError:
    """The error for a file that was replaced while a run went on."""
    return ModelError(
        "model-changed", f"`{source}` is not the file that it was when the run was planned.", "Run the workflow again."
    )


def _identity(path: Path) -> list[int]:
    stat = path.stat()
    # The change time tells a file that was replaced by a tool which keeps size and modification time.
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _changed_at(identity: list[int]) -> float:
    """Seconds since 1970. The modification time can be set to anything, the change time only where it is none."""
    return identity[2 if os.name == "posix" else 1] / 1e9


def _note_path(path: Path) -> Path:
    """One small file per model file: processes that write at the same time can't lose each other's notes."""
    name = hashlib.blake2b(os.fsencode(path.resolve()), digest_size=_DIGEST_BYTES).hexdigest()
    return models_home() / "digests" / f"{name}.json"


def _recall(path: Path, identity: list[int]) -> str | None:
    name = os.fspath(path)
    known = _known.get(name)
    if known is not None and known[0] == identity:
        return known[1]
    digest = _read_note(path, identity)
    if digest is not None:
        _known[name] = (identity, digest)
    return digest


def _read_note(path: Path, identity: list[int]) -> str | None:
    try:
        note = json.loads(_note_path(path).read_bytes())
        return str(note["digest"]) if note["identity"] == identity else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(path: Path, identity: list[int], digest: str) -> None:
    _known[os.fspath(path)] = (identity, digest)
    note = _note_path(path)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=note.parent, delete=False) as file:
            json.dump({"identity": identity, "digest": digest}, file)
        os.replace(file.name, note)
    except OSError:
        # A home that can't be written only costs time.
        return
