"""What a node type looks like from outside: its ports, resolved against the known port types."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

from pydantic import FailFast, Field, TypeAdapter, ValidationError

from sdgraph.core.form import brief
from sdgraph.core.jsonable import jsonable
from sdgraph.core.node import Node
from sdgraph.core.port import PortMeta
from sdgraph.core.porttype import PortType

STRICT = (bool, int, float, str)
_INT_LIMITS = {"ge": -(2**63), "le": 2**64 - 1}
"""Whole numbers must fit into 64 bits (a seed may use all of them); engines and stores can't keep more."""
_WORD = re.compile(r"ControlNet|[A-Z][A-Z0-9]+(?![a-z])|[A-Z][a-z0-9]*")
_SPELT = {"Vae": "VAE", "Lora": "LoRA"}
"""Words that class names spell otherwise than people do."""


@dataclass(frozen=True)
class InputSpec:
    """An input port of a node type."""

    name: str
    type_name: str
    annotation: Any
    payload: PortType[Any] | None
    """The port type when a payload travels here; None for plain values."""
    required: bool
    optional: bool
    """None is allowed."""
    default: Any
    meta: PortMeta
    title: str | None = None

    @property
    def is_value(self) -> bool:
        return self.payload is None

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """Validates and dumps the port's plain values. Numbers must be finite, text is not taken for a number."""
        limits: dict[str, Any] = dict(self.meta.constraints)
        if self.annotation in STRICT:
            limits["strict"] = True
        if self.annotation is float:
            limits["allow_inf_nan"] = False
        if self.annotation is int:
            limits |= {name: limit for name, limit in _INT_LIMITS.items() if not limits.keys() & {name, name[0] + "t"}}
        checked: Any = Annotated[self.annotation, Field(**limits)] if limits else self.annotation
        if typing.get_origin(self.annotation) in (list, tuple):  # a damaged list of millions has one complaint
            checked = Annotated[checked, FailFast()]
        return TypeAdapter(checked | None if self.optional else checked)

    def coerce(self, value: Any) -> Any:
        """The value as the node will see it. Raises pydantic's ValidationError."""
        return self.adapter.validate_python(value)

    def is_default(self, value: Any) -> bool:
        """Whether leaving the value out of a file says the same."""
        return not self.required and type(value) is type(self.default) and value == self.default

    def to_json(self, value: Any) -> Any:
        """The value as it stands in a file. Raises TypeError for what no file can hold."""
        return jsonable(value)


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """An output port of a node type."""

    name: str
    type_name: str
    payload: PortType[Any] | None


@dataclass(frozen=True, eq=False)
class NodeSpec:
    """A node type: its class and its ports in declared order."""

    type: str
    version: int
    cls: type[Node[Any]]
    inputs: Mapping[str, InputSpec]
    outputs: Mapping[str, OutputSpec]
    pack: str = ""
    has_fingerprint: bool = False
    has_expand: bool = False
    has_infer: bool = False
    has_deliver: bool = False
    has_lazy: bool = False
    shared_inputs: tuple[str, ...] = field(default=())
    """Inputs whose payload needs a view of its own for each reader."""
    is_generic: bool = False
    """An output has the type Any: that of what feeds the node's Any inputs."""

    def construct(self, values: Mapping[str, Any]) -> Node[Any]:
        """A node instance from values that are already checked."""
        return self.cls.model_construct(None, **values)

    @property
    def title(self) -> str:
        """The type's name for people, from its class: `SaveImage` is "Save image", `VaeDecode` is "VAE decode"."""
        found: list[str] = _WORD.findall(self.cls.__name__) or [self.type]
        first, *rest = (_SPELT.get(word, word) for word in found)
        return " ".join((first, *(word.lower() if word[1:].islower() or len(word) == 1 else word for word in rest)))

    @property
    def category(self) -> str:
        """The subject that the type belongs to: "image.resize" is about "image"."""
        return self.type.rsplit(".", 1)[0]

    @property
    def doc(self) -> str:
        return inspect.cleandoc(self.cls.__doc__ or "")


def explain_validation(error: ValidationError) -> str:
    """A pydantic error as one sentence: what was expected and what was found, at most the first three complaints."""
    parts: list[str] = []
    for detail in error.errors(include_url=False)[:3]:
        where = ".".join(str(step) for step in detail["loc"])
        said = detail["msg"][:1].lower() + detail["msg"][1:]
        parts.append(f"{where + ': ' if where else ''}{said}, found {brief(detail['input'])}")
    return "; ".join(parts)
