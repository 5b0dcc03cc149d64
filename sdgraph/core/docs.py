"""Help of ports: the docstring below a field, read from the class's source when somebody asks for it."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import lru_cache


def port_docs(cls: type) -> dict[str, str]:
    """The docstring below each field of a class and its bases, by field; none where there is no source."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found |= _module_docs(base.__module__).get(base.__qualname__, {})
    return found


@lru_cache(maxsize=None)
def _module_docs(module: str) -> dict[str, dict[str, str]]:
    if not hasattr(sys.modules.get(module), "__file__"):
        return {}
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, SyntaxError):
        return {}
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return {found.name: _field_docs(found) for found in classes}


def _field_docs(found: ast.ClassDef) -> dict[str, str]:
    docs: dict[str, str] = {}
    for field, below in zip(found.body, found.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            docs[field.target.id] = inspect.cleandoc(below.value.value)
    return docs
