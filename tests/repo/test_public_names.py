"""The public surface: curated, lazy, and without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import sdgraph

_SOURCE = Path(sdgraph.__file__)


def test_every_public_name_is_there() -> None:
    for name in sdgraph.__all__:
        assert getattr(sdgraph, name) is not None


def test_the_public_names_are_those_that_type_checkers_see() -> None:
    tree = ast.parse(_SOURCE.read_text("utf-8"))
    guarded = next(part for part in tree.body if isinstance(part, ast.If))
    seen = {
        alias.name: statement.module
        for statement in guarded.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert sorted({*seen, "__version__"}) == sorted(sdgraph.__all__)
    assert seen == {name: f"sdgraph.{module}" for name, module in sdgraph._MODULES.items()}


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    assert not hasattr(sdgraph, "no_such_name")


def test_the_public_names_need_neither_torch_nor_pictures() -> None:
    code = (
        "import sys, sdgraph\n"
        "[getattr(sdgraph, name) for name in sdgraph.__all__]\n"
        "print(*sorted({'torch', 'diffusers', 'transformers', 'numpy', 'PIL', 'rich', 'aiohttp'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
