"""Every error code and every reason code in the source, found without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import get_args

from sdgraph.engine.reason import ReasonCode
from tests.repo.project import modules

CODE = re.compile(r"[a-z]+(?:-[a-z]+)+")
NOT_CODES = {
    "flux-tiny",
    "nearest-exact",
    "no-cache",
    "no-referrer",
    "playground-tiny",
    "same-origin",
    "sdgraph-database",
    "sdgraph-digest",
    "sdgraph-editor",
    "sdgraph-events",
    "sdgraph-files",
    "sdgraph-leases",
    "sdgraph-mirror",
    "sdgraph-outbox",
    "sdgraph-remote",
    "sdgraph-remote-leases",
    "sdgraph-server",
    "sdgraph-store",
    "sdxl-tiny",
}
"""Strings of the same form that mean something else: threads, synthetic models, interpolations, HTTP headers."""


def reason_codes() -> set[str]:
    return set(get_args(ReasonCode))


def error_codes() -> set[str]:
    """The codes of all problems and errors: kebab-case strings, and what `Problem(...)` and errors are called with."""
    found: set[str] = set()
    for path, tree in modules():
        if path.name != "reason.py":
            found |= set(hyphenated(tree)) | set(first_arguments(tree))
    return found - NOT_CODES - reason_codes()


def hyphenated(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
            yield node.value


def first_arguments(tree: ast.Module) -> Iterator[str]:
    """Codes without a hyphen, and codes made from the name of a payload."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
            continue
        first = node.args[0]
        if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
            continue
        if node.func.id == "Problem" or node.func.id in SDGRAPH_ERRORS:
            yield first.value
        elif node.func.id == "require_shape":
            yield f"{first.value}-shape"


SDGRAPH_ERRORS = {
    node.name
    for path, tree in modules()
    if path.name == "errors.py"
    for node in ast.walk(tree)
    if isinstance(node, ast.ClassDef) and node.name.endswith("Error")
}
