"""The project's own files, for the tests that hold the repository to its word."""

from __future__ import annotations

import ast
import subprocess
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "sdgraph", ROOT / "nodes" / "sdgraph_nodes")


@lru_cache(maxsize=None)
def project_files() -> tuple[Path, ...]:
    """Every file that belongs to the project: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(path for name in sorted(listed.split("\0")) if name and (path := ROOT / name).is_file())


@lru_cache(maxsize=None)
def modules() -> tuple[tuple[Path, ast.Module], ...]:
    """Every module of both packages, parsed."""
    found = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
    return tuple((path, ast.parse(path.read_text(encoding="utf-8"))) for path in found)


def text_of(name: str) -> str:
    """A text file of the project, by its path from the root."""
    return (ROOT / name).read_text(encoding="utf-8")


def shown(path: Path) -> str:
    """A path as people write it: from the root, with slashes."""
    return path.relative_to(ROOT).as_posix()
