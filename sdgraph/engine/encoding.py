"""Canonical bytes of plain values: equal values give equal bytes, distinct values distinct bytes.

Every part is tagged with its type and its length, so `1`, `1.0`, `True` and `"1"` differ (and `0.0` and `-0.0`, which
a node can tell apart), and no concatenation of values can be mistaken for another one. A list equals the tuple of the
same parts, because a file has only one of the two. Results already stored depend on this format: a change to it needs
a new `KEY_FORMAT`.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from sdgraph.errors import SdgraphError

_float = struct.Struct(">d").pack


def _integer(value: int) -> bytes:
    digits = b"%x" % value
    return b"i%d:%b" % (len(digits), digits)


def _text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"s%d:%b" % (len(raw), raw)


_SCALARS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda value: b"n",
    bool: lambda value: b"t" if value else b"f",
    int: _integer,
    float: lambda value: b"F" + _float(value),
    str: _text,
    bytes: lambda value: b"y%d:%b" % (len(value), value),
}


def encode(value: Any) -> bytes:
    """The canonical bytes of None, bool, int, float, str, bytes, enums, sequences, mappings and pydantic models.

    Raises SdgraphError [value-not-encodable] for anything else.
    """
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        return scalar(value)
    parts: list[bytes] = []
    pending = [value]
    while pending:  # a stack instead of recursion: values come from files that others wrote
        part = pending.pop()
        scalar = _SCALARS.get(type(part))
        if scalar is not None:
            parts.append(scalar(part))
            continue
        head, children = _open(part)
        parts.append(head)
        pending.extend(reversed(children))
    return b"".join(parts)


def _open(value: Any) -> tuple[bytes, list[Any]]:
    if isinstance(value, BaseModel):
        # The class name separates models that happen to have the same fields.
        return _mapping(b"m", {**value.__dict__, **(value.__pydantic_extra__ or {}), "": type(value).__name__})
    if isinstance(value, enum.Enum):
        return b"e", [type(value).__name__, value.value]
    for kind in (int, float, str, bytes):
        if isinstance(value, kind):  # a number of another library, say
            return _SCALARS[kind](value), []
    if isinstance(value, Mapping):
        return _mapping(b"d", value)
    if isinstance(value, (list, tuple)):
        return b"l%d:" % len(value), list(value)
    if isinstance(value, (frozenset, set)):
        return b"S%d:" % len(value), sorted(value, key=encode)
    raise SdgraphError(
        "value-not-encodable",
        f"A value of type {type(value).__name__} can't be part of a cache key.",
        "Use numbers, text, lists, mappings or pydantic models; other things travel over links.",
    )


def _mapping(tag: bytes, value: Mapping[Any, Any]) -> tuple[bytes, list[Any]]:
    children: list[Any] = []
    for key in sorted(value, key=encode):
        children += (key, value[key])
    return tag + b"%d:" % len(value), children
