"""Writing to stdout and stderr: a reader that went away ends the writing, not the work."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TextIO

from sdgraph.errors import Problem, SdgraphError


def out(text: str) -> None:
    """A line of the result. Raises SdgraphError [stdout-unwritable]."""
    try:
        _write(sys.stdout, text)
    except OSError as error:
        raise SdgraphError(
            "stdout-unwritable",
            f"The result can't be written to standard output: {error.strerror or error}.",
            "Files that the command wrote are complete.",
        ) from None


def out_json(data: Any) -> None:
    """The one JSON object that `--json` promises."""
    out(json.dumps(data, indent=2))


def err(text: str) -> None:
    """A line about what is going on; lost if nobody can read it."""
    with suppress(OSError):
        _write(sys.stderr, text)


def show_problems(problems: Sequence[Problem]) -> None:
    """Problems, one a line."""
    for problem in problems:
        err(f"{problem.severity}: {problem}")


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    """Aligned columns; the last one is as wide as it is."""
    shown = [header, *rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(header) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in shown
    )


def nbytes_text(count: int) -> str:
    """Bytes for people: 1.5 GB."""
    if count < 1000:
        return f"{count} bytes"
    size, unit = count / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.1f} {unit}"


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text + "\n")
        stream.flush()
    except BrokenPipeError:
        nothing = os.open(os.devnull, os.O_WRONLY)  # so that nothing written later, or at exit, fails again
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
