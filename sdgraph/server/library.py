"""Saved workflows: one canonical JSON file for each name, beside the templates that ship.

A name is a file name and nothing else: letters, digits, `-`, `_`, `.` and spaces, so no path leads out of the folder.
A file that is a symbolic link is not followed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sdgraph.core.document import WorkflowDocument, canonical_json, parse_document
from sdgraph.errors import Problem, SdgraphError, WorkflowError
from sdgraph.payloads.picture_files import write_atomically

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,98}[A-Za-z0-9_-]|[A-Za-z0-9_]")


@dataclass(frozen=True, slots=True)
class Saved:
    """A workflow with the text that is stored."""

    name: str
    text: str
    document: WorkflowDocument
    shipped: bool

    @property
    def version(self) -> str:
        """Digest of the text."""
        return hashlib.blake2b(self.text.encode(), digest_size=16).hexdigest()


class Library:
    """The workflows of a folder, and below them the templates."""

    def __init__(self, folder: Path, templates: Path, max_nodes: int) -> None:
        self._folder = folder
        self._templates = templates
        self._max_nodes = max_nodes

    def __iter__(self) -> Iterator[Saved]:
        """All that can be read, by name; a damaged file is left out."""
        names = {path.stem for folder in (self._folder, self._templates) for path in folder.glob("*.json")}
        for name in sorted(names):
            try:
                yield self.get(name)
            except SdgraphError:
                continue

    def get(self, name: str) -> Saved:
        """A workflow by name; one's own goes before the template. Raises WorkflowError [workflow-unknown]."""
        for folder in (self._folder, self._templates):
            path = _path(folder, name)
            if path.is_symlink():
                continue
            try:
                content = path.read_bytes()
            except OSError:
                continue
            document = parse_document(content, max_nodes=self._max_nodes)
            return Saved(name, content.decode(), document, shipped=folder is self._templates)
        raise _unknown(name)

    def put(self, name: str, document: WorkflowDocument, expected: str | None) -> Saved:
        """Save a workflow. `expected` is the version that the writer has seen, "" if it thinks there is none.

        Raises WorkflowError [workflow-changed] when somebody else saved meanwhile.
        """
        path = _path(self._folder, name)
        self._require_version(name, expected)
        text = canonical_json(document)
        if path.is_symlink():
            path.unlink()
        write_atomically(path, text.encode())
        return Saved(name, text, document, shipped=False)

    def delete(self, name: str, expected: str | None) -> None:
        """Remove a workflow of one's own. Raises WorkflowError [workflow-unknown], [workflow-changed]."""
        path = _path(self._folder, name)
        self._require_version(name, expected)
        try:
            path.unlink()
        except FileNotFoundError:
            raise _unknown(name) from None

    def _require_version(self, name: str, expected: str | None) -> None:
        if expected is None:
            return
        try:
            found = self.get(name)
            there = "" if found.shipped and not expected else found.version
        except WorkflowError:
            there = ""
        if there != expected:
            message = f"The workflow `{name}` was saved by somebody else since it was opened."
            hint = "Open it again, or save under another name."
            raise WorkflowError([Problem("workflow-changed", message, hint)])


def _path(folder: Path, name: str) -> Path:
    if not _NAME.fullmatch(name) or ".." in name:
        message = f"{name[:100]!r} can't be the name of a workflow."
        hint = "Use up to 100 letters, digits, spaces, `-`, `_` and `.`."
        raise WorkflowError([Problem("workflow-name", message, hint)])
    return folder / f"{name}.json"


def _unknown(name: str) -> WorkflowError:
    message = f"There is no workflow `{name}`."
    return WorkflowError([Problem("workflow-unknown", message, "GET /api/workflows lists them.")])
