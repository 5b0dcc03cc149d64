"""The glossary's names are names of the code."""

from __future__ import annotations

import ast
import re

from tests.repo.project import modules, text_of


def names_of_the_code() -> set[str]:
    names: set[str] = set()
    for _, tree in modules():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)
            elif isinstance(node, ast.Assign):
                names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def test_every_compound_name_in_the_glossary_is_defined_in_the_code() -> None:
    compound = set(re.findall(r"\*\*([A-Z][a-z]+(?:[A-Z][a-z]+)+)\*\*", text_of("docs/concepts.md")))
    assert len(compound) > 10
    assert compound <= names_of_the_code()
