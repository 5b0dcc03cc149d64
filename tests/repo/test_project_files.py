"""What must never stand in a file of the project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.repo.project import ROOT, project_files, shown, text_of

# Written in parts, so that this file does not contain what it looks for.
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:home|Users|root|work|farm)/" + r"\w")
TEMPORARY_PATH = re.compile("/tm" + r"p/\w")
REGISTRY_HOST = re.compile(
    r"https?://[^\s\"')]*(?:" + "|".join(("pypi" + r"\.org", "pythonhosted", "npmjs", "/simple" + r"\b")) + ")"
)
PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.!+]*")


def text_files() -> Iterator[tuple[Path, str]]:
    for path in project_files():
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" not in content[:8000]:
            yield path, content.decode("utf-8")


def test_no_file_names_a_path_of_some_machine() -> None:
    found = [
        f"{shown(path)}: {match.group()}"
        for path, text in text_files()
        for match in [*MACHINE_PATH.finditer(text), *TEMPORARY_PATH.finditer(text)]
    ]
    assert not found


def test_no_file_names_a_package_registry() -> None:
    found = [f"{shown(path)}: {match.group()}" for path, text in text_files() for match in REGISTRY_HOST.finditer(text)]
    assert not found


def test_every_text_file_is_utf8_and_ends_with_a_newline() -> None:
    assets = ROOT / "sdgraph" / "assets"  # as the libraries write them
    written = [(path, text) for path, text in text_files() if text and not path.is_relative_to(assets)]
    found = [shown(path) for path, text in written if not text.endswith("\n")]
    assert not found


def test_constraints_are_exact_versions_without_addresses() -> None:
    lines = text_of("constraints.txt").splitlines()
    assert len(lines) > 50
    assert [line for line in lines if not PINNED.fullmatch(line)] == []


def test_every_direct_dependency_is_pinned() -> None:
    pinned = {normal(line.partition("==")[0]) for line in text_of("constraints.txt").splitlines()}
    declared = re.findall(r'^  "([A-Za-z0-9_-]+)[^"]*[<>=][^"]*",$', text_of("pyproject.toml"), re.MULTILINE)
    assert len(declared) > 15
    assert {normal(name) for name in declared} <= pinned


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
