"""What a node type looks like from outside: its ports, resolved against the known port types."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sdgraph.core.node import Node
from sdgraph.core.port import PortMeta, port_meta
from sdgraph.core.porttype import PortType, strip_optional, value_type_name
from sdgraph.errors import RegistryError

_TYPE_ID = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_STRICT = (bool, int, float, str)


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
        if self.annotation in _STRICT:
            limits["strict"] = True
        if self.annotation is float:
            limits["allow_inf_nan"] = False
        checked: Any = Annotated[self.annotation, Field(**limits)] if limits else self.annotation
        return TypeAdapter(checked | None if self.optional else checked)

    def coerce(self, value: Any) -> Any:
        """The value as the node will see it. Raises pydantic's ValidationError."""
        return self.adapter.validate_python(value)

    def to_json(self, value: Any) -> Any:
        return self.adapter.dump_python(value, mode="json", exclude_defaults=True)


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
    has_deliver: bool = False
    has_lazy: bool = False
    shared_inputs: tuple[str, ...] = field(default=())
    """Inputs whose payload needs a view of its own for each reader."""

    def construct(self, values: Mapping[str, Any]) -> Node[Any]:
        """A node instance from values that are already checked."""
        return self.cls.model_construct(None, **values)

    @property
    def title(self) -> str:
        """The type's name for people: "sd.vae_decode" is "Vae decode"."""
        return self.type.rsplit(".", 1)[-1].replace("_", " ").capitalize()

    @property
    def doc(self) -> str:
        return (self.cls.__doc__ or "").strip()


def build_spec(cls: type[Node[Any]], types: Mapping[type, PortType[Any]], pack: str = "") -> NodeSpec:
    """The spec of a node class. Raises RegistryError when the class can't serve as a node."""
    if not _TYPE_ID.fullmatch(cls.node_type):
        raise RegistryError(
            "node-type-id",
            f"{cls.__name__} has the type id {cls.node_type!r}.",
            'Write it like "sd.vae_decode": lower-case words joined by dots, at least two.',
        )
    inputs = {name: _input(cls, name, info, types) for name, info in cls.model_fields.items()}
    outputs = {
        name: OutputSpec(name, *_type_of(annotation, types))
        for name, annotation in cls.outputs_class.port_types().items()
    }
    return NodeSpec(
        type=cls.node_type,
        version=cls.node_version,
        cls=cls,
        inputs=inputs,
        outputs=outputs,
        pack=pack,
        has_fingerprint=cls.fingerprint is not Node.fingerprint,
        has_expand=cls.expand is not Node.expand,
        has_deliver=cls.deliver is not Node.deliver,
        has_lazy=any(port.meta.lazy for port in inputs.values()),
        shared_inputs=tuple(
            name
            for name, port in inputs.items()
            if port.type_name == "Any" or (port.payload is not None and port.payload.share is not None)
        ),
    )


def _input(cls: type[Node[Any]], name: str, info: FieldInfo, types: Mapping[type, PortType[Any]]) -> InputSpec:
    arguments = typing.get_args(info.annotation)
    if not arguments:
        raise RegistryError(
            "input-annotation",
            f"{cls.__name__}.{name} is annotated {info.annotation!r}, expected In[...].",
            "Write it as `name: In[Type]`.",
        )
    annotation, optional = strip_optional(arguments[0])
    type_name, payload = _type_of(annotation, types)
    default = info.get_default(call_default_factory=True, validated_data={})
    required = default is PydanticUndefined
    return InputSpec(
        name=name,
        type_name=type_name,
        annotation=annotation,
        payload=payload,
        required=required,
        optional=optional,
        default=None if required else default,
        meta=port_meta(info),
        title=info.title,
    )


def _type_of(annotation: Any, types: Mapping[type, PortType[Any]]) -> tuple[str, PortType[Any] | None]:
    known = types.get(annotation) if isinstance(annotation, type) else None
    return (known.name, known) if known is not None else (value_type_name(annotation), None)


def explain_validation(error: ValidationError) -> str:
    """A pydantic error as one sentence: what was expected and what was found, at most the first three complaints."""
    parts: list[str] = []
    for detail in error.errors(include_url=False)[:3]:
        where = ".".join(str(step) for step in detail["loc"])
        found = repr(detail["input"])
        found = found if len(found) <= 60 else found[:57] + "..."
        said = detail["msg"][:1].lower() + detail["msg"][1:]
        parts.append(f"{where + ': ' if where else ''}{said}, found {found}")
    return "; ".join(parts)
