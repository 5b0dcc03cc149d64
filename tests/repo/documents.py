"""Code blocks of a document, as the tests run them.

A block below a line with nothing but a file name in backticks and a colon is that file. A `python` block is run, all of
a document's in one namespace. Of an `sh` block the lines that start with `sdgraph` are run.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from tests.repo.project import text_of

_BLOCK = re.compile(r"(?:^`(?P<file>[^`\n]+)`:\n\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    kind: str
    text: str
    file: str | None = None

    def commands(self) -> list[list[str]]:
        """The `sdgraph` commands of an `sh` block, as arguments."""
        lines = (shlex.split(line, comments=True) for line in self.text.replace("\\\n", " ").splitlines())
        return [words for words in lines if words and words[0] == "sdgraph"]


def blocks(document: str) -> list[Block]:
    """The blocks of a document, in order."""
    return [Block(found["kind"], found["text"], found["file"]) for found in _BLOCK.finditer(text_of(document))]


def block_of(document: str, file: str) -> str:
    """The block that is the content of a file."""
    return next(block.text for block in blocks(document) if block.file == file)
