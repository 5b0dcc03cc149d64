"""Values as Python source, with the imports that they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from textwrap import indent
from typing import Any

from pydantic import BaseModel

from sdgraph.core.jsonable import is_default

_WIDTH = 100


class Imports:
    """Collects `from module import Class` lines; a class whose name is taken gets a number."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}

    def name(self, cls: type) -> str:
        """The name under which the class is imported."""
        key = (cls.__module__, cls.__qualname__)
        if key not in self._names:
            taken = set(self._names.values())
            name, number = cls.__name__, 2
            while name in taken:
                name, number = f"{cls.__name__}{number}", number + 1
            self._names[key] = name
        return self._names[key]

    def __str__(self) -> str:
        modules: dict[str, list[str]] = {}
        for (module, qualname), name in self._names.items():
            modules.setdefault(module, []).append(qualname if qualname == name else f"{qualname} as {name}")
        return "\n".join(f"from {module} import {', '.join(sorted(modules[module]))}" for module in sorted(modules))


def call(function: str, arguments: Sequence[str]) -> str:
    """A call, on one line if it fits."""
    return bracketed(f"{function}(", arguments, ")")


def bracketed(start: str, parts: Sequence[str], end: str) -> str:
    """Parts between brackets, on one line if they fit, else one part a line."""
    line = f"{start}{', '.join(parts)}{end}"
    if not parts or (len(line) <= _WIDTH and "\n" not in line):
        return line
    inside = "".join(indent(part, "    ") + ",\n" for part in parts)
    return f"{start}\n{inside}{end}"


def quoted(text: str) -> str:
    """A text in double quotes where it has none itself."""
    shown = repr(text)
    return shown if '"' in text or "'" in text else f'"{shown[1:-1]}"'


def literal(value: Any, imports: Imports) -> str:
    """An expression whose value is `value`: plain data, choices and pydantic models."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        given = {name: part for name, part in value if not is_default(fields[name], part)}
        return call(imports.name(type(value)), [f"{name}={literal(part, imports)}" for name, part in given.items()])
    if isinstance(value, Enum):
        return f"{imports.name(type(value))}.{value.name}"
    if isinstance(value, Mapping):
        return bracketed(
            "{", [f"{literal(key, imports)}: {literal(part, imports)}" for key, part in value.items()], "}"
        )
    if isinstance(value, list):
        return bracketed("[", [literal(part, imports) for part in value], "]")
    if isinstance(value, tuple) and len(value) != 1:
        return bracketed("(", [literal(part, imports) for part in value], ")")
    if isinstance(value, tuple):
        return f"({literal(value[0], imports)},)"
    return quoted(value) if isinstance(value, str) else repr(value)
