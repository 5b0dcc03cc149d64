"""Fingerprints: digests of what model files contain. A renamed model has the same one, a changed model another.

Digests of large files are remembered by the file's identity, so that planning on a warm machine reads no weights.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from sdgraph.errors import ModelError
from sdgraph.models.home import models_home
from sdgraph.models.weights import check_whole

_DIGEST_BYTES = 16


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
    """Digest of a file's content, read again only when its size, times or inode changed."""
    try:
        identity = _identity(path)
        known = _recall(path, identity)
        if known is not None:
            return known
        if path.suffix == ".safetensors":
            check_whole(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES)).hexdigest()
        if _identity(path) == identity:
            _remember(path, identity, digest)
    except OSError as error:
        raise ModelError(
            "model-missing", f"{path} can't be read: {error.strerror}.", "Check the file and its permissions."
        ) from error
    return digest


def _identity(path: Path) -> list[int]:
    stat = path.stat()
    # The change time tells a file that was replaced by a tool which keeps size and modification time.
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _note_path(path: Path) -> Path:
    """One small file per model file: processes that write at the same time can't lose each other's notes."""
    name = hashlib.blake2b(os.fsencode(path.resolve()), digest_size=_DIGEST_BYTES).hexdigest()
    return models_home() / "digests" / f"{name}.json"


def _recall(path: Path, identity: list[int]) -> str | None:
    try:
        note = json.loads(_note_path(path).read_bytes())
        return str(note["digest"]) if note["identity"] == identity else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(path: Path, identity: list[int], digest: str) -> None:
    note = _note_path(path)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=note.parent, delete=False) as file:
            json.dump({"identity": identity, "digest": digest}, file)
        os.replace(file.name, note)
    except OSError:
        # A home that can't be written only costs time.
        return
