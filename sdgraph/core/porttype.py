"""Port types: what may travel along a link, and how it is stored.

There are two kinds. *Payloads* (an image, latents, a model handle) have a `PortType` that their pack registers; they
come only over links. *Values* (numbers, text, choices, small pydantic models) can also be typed in; their type name
follows from the annotation.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")

ANY = "Any"
VALUE_NAMES = frozenset({ANY, "Bool", "Int", "Float", "String", "Choice", "Json"})
_PRIMITIVES = {bool: "Bool", int: "Int", float: "Float", str: "String"}
_WIDENINGS = frozenset({("Int", "Float"), ("Choice", "String"), ("String", "Choice")})


@dataclass(frozen=True, slots=True)
class Blob:
    """A tensor as bytes: little-endian, row-major. `dtype` is safetensors' name ("F32", "BF16", "U8")."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes | memoryview


@dataclass(frozen=True, slots=True)
class Encoded:
    """A payload taken apart for storage: JSON for the small things, blobs for the tensors."""

    meta: Any
    blobs: Mapping[str, Blob]


class Codec(Protocol[T]):
    """Turns a payload into bytes and back, exactly. It must not need code from the stored bytes (no pickle)."""

    def encode(self, value: T) -> Encoded: ...
    def decode(self, encoded: Encoded) -> T: ...


@dataclass(frozen=True, slots=True)
class Shown:
    """What an editor shows of a value that it can't hold."""

    text: str
    """A few words: how large it is, what it is called."""
    pictures: tuple[Any, ...] = ()
    """NumPy arrays of uint8, [H, W, 3] RGB or [H, W] grey, of any size."""
    approximate: bool = False
    """The pictures are not the value but look somewhat like what it stands for, as those of latents."""


@dataclass(frozen=True, slots=True, eq=False)
class PortType(Generic[T]):
    """A kind of payload."""

    name: str
    python_type: type[T]
    doc: str
    color: str
    """CSS colour of its ports and links in editors."""
    codec: Codec[T] | None = None
    """None: results of this type live in memory only."""
    share: Callable[[T], T] | None = None
    """Gives a node its own view, so that writing to it can't change what others see. None: the payload is immutable."""
    size_bytes: Callable[[T], int] | None = None
    """Memory that a value holds; None: negligible."""
    write: Callable[[T, Path, Mapping[str, str]], list[Path]] | None = None
    """Writes a value that is a workflow's result into files, given their path without ending and the texts that they
    carry; returns the files. It must not need torch. None: the type has no file format."""
    show: Callable[[T, int], Shown] | None = None
    """What a value looks like, with at most so many pictures; quick, without a model. None: nothing is known of it."""


def value_type_name(annotation: Any) -> str:
    """The type name of a plain value's annotation: Int, Float, String, Bool, Choice, List[...], or the model's name."""
    annotation, _ = strip_optional(annotation)
    origin = typing.get_origin(annotation)
    if annotation is Any:
        return ANY
    if annotation in _PRIMITIVES:
        return _PRIMITIVES[annotation]
    if origin is typing.Literal or (isinstance(annotation, type) and issubclass(annotation, enum.Enum)):
        return "Choice"
    if origin in (list, tuple):
        return f"List[{value_type_name(typing.get_args(annotation)[0])}]"
    if origin is typing.Annotated:
        return value_type_name(typing.get_args(annotation)[0])
    return getattr(annotation, "__name__", "Json")


def strip_optional(annotation: Any) -> tuple[Any, bool]:
    """`T | None` gives (T, True); any other annotation gives (annotation, False)."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = typing.get_args(annotation)
        rest = [member for member in members if member is not types.NoneType]
        if len(rest) == 1 and len(members) == 2:
            return rest[0], True
    return annotation, False


def accepts(target: str, source: str) -> bool:
    """Whether an output of type `source` may feed an input of type `target`."""
    return target == source or ANY in (target, source) or (source, target) in _WIDENINGS
