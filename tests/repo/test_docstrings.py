"""Docstrings of public functions speak of parameters that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache

from tests.repo.project import modules, shown

NAME = re.compile(r"`([a-z_][a-z0-9_]*)`")
ELSEWHERE = {"with", "encode_prompt"}
"""A keyword of Python, and a function of diffusers."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions(tree: ast.Module) -> Iterator[tuple[Function, set[str]]]:
    """Each public function or method, with the fields and methods that its class has."""
    for holder in ast.walk(tree):
        if isinstance(holder, ast.Module | ast.ClassDef):
            for item in holder.body:
                if isinstance(item, Function) and not item.name.startswith("_"):
                    yield item, defined_names(holder) if isinstance(holder, ast.ClassDef) else set()


def parameters(function: Function) -> set[str]:
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return {argument.arg for argument in every if argument is not None}


def defined_names(tree: ast.AST) -> set[str]:
    """Functions, classes, fields and string constants below a node: what a docstring can refer to beside parameters."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, Function | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return names


@lru_cache(maxsize=None)
def names_of_the_project() -> frozenset[str]:
    return frozenset(name for _, tree in modules() for name in defined_names(tree))


def test_names_in_docstrings_of_functions_are_parameters_or_names_of_the_project() -> None:
    strange = [
        f"{shown(path)}:{function.lineno} {function.name}: `{name}`"
        for path, tree in modules()
        for function, of_class in public_functions(tree)
        for name in NAME.findall(ast.get_docstring(function) or "")
        if name not in parameters(function) | of_class | names_of_the_project() | ELSEWHERE
    ]
    assert not strange


def test_every_module_says_what_it_is_about() -> None:
    assert [shown(path) for path, tree in modules() if tree.body and not ast.get_docstring(tree)] == []
