"""From a node class to its spec: every port's annotation resolved, everything that can't work refused."""

from __future__ import annotations

import enum
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BaseModel, PydanticSchemaGenerationError, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sdgraph.core.node import Node
from sdgraph.core.port import port_meta
from sdgraph.core.porttype import ANY, PortType, strip_optional, value_type_name
from sdgraph.core.spec import STRICT, InputSpec, NodeSpec, OutputSpec, explain_validation
from sdgraph.errors import RegistryError

_TYPE_ID = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


def build_spec(cls: type[Node[Any]], port_types: Mapping[type, PortType[Any]] | None, pack: str = "") -> NodeSpec:
    """The spec of a node class. Raises RegistryError when the class can't serve as a node.

    Without `port_types` any class is taken for a payload: enough to write a workflow down, which holds no payloads.
    """
    if not _TYPE_ID.fullmatch(cls.node_type):
        raise RegistryError(
            "node-type-id",
            f"{cls.__name__} has the type id {cls.node_type!r}.",
            'Write it like "sd.vae_decode": lower-case words joined by dots, at least two.',
        )
    inputs = {name: _input(cls, name, info, port_types) for name, info in cls.model_fields.items()}
    outputs = {
        name: OutputSpec(name, *_type_of(f"{cls.outputs_class.__name__}.{name}", annotation, port_types))
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
        has_infer=cls.infer is not Node.infer,
        has_deliver=cls.deliver is not Node.deliver,
        has_lazy=any(port.meta.lazy for port in inputs.values()),
        shared_inputs=tuple(
            name
            for name, port in inputs.items()
            if port.type_name == ANY or (port.payload is not None and port.payload.share is not None)
        ),
        is_generic=any(output.type_name == ANY for output in outputs.values()),
    )


def _input(
    cls: type[Node[Any]], name: str, info: FieldInfo, port_types: Mapping[type, PortType[Any]] | None
) -> InputSpec:
    arguments = typing.get_args(info.annotation)
    if not arguments:
        raise RegistryError(
            "input-annotation",
            f"{cls.__name__}.{name} is annotated {info.annotation!r}, expected In[...].",
            "Write it as `name: In[Type]`.",
        )
    annotation, optional = strip_optional(arguments[0])
    type_name, payload = _type_of(f"{cls.__name__}.{name}", annotation, port_types)
    default = info.get_default(call_default_factory=True, validated_data={})
    required = default is PydanticUndefined
    found = InputSpec(
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
    return found if required or default is None else _with_coerced_default(cls, found)


def _with_coerced_default(cls: type[Node[Any]], port: InputSpec) -> InputSpec:
    """The port with its default as a typed-in value would be: `In[float] = port(1)` has the default 1.0."""
    if type(port.default) is port.annotation and port.annotation in STRICT and not port.meta.constraints:
        return port
    try:
        return replace(port, default=port.coerce(port.default))
    except (ValidationError, PydanticSchemaGenerationError) as error:
        said = explain_validation(error) if isinstance(error, ValidationError) else "only plain values can be defaults"
        raise RegistryError(
            "port-default-invalid",
            f"The default of {cls.__name__}.{port.name} does not fit its port: {said}.",
            "Correct the default or the port's type.",
        ) from None


def _type_of(
    place: str, annotation: Any, port_types: Mapping[type, PortType[Any]] | None
) -> tuple[str, PortType[Any] | None]:
    known = port_types.get(annotation) if port_types is not None and isinstance(annotation, type) else None
    if known is not None:
        return known.name, known
    if port_types is not None and not _is_value(annotation):
        raise RegistryError(
            "port-type-unknown",
            f"{place} is annotated {annotation!r}, which is neither a registered payload nor a plain value.",
            "Register a PortType for it, or use numbers, text, choices, pydantic models, or tuples of these.",
        )
    return value_type_name(annotation), None


def _is_value(annotation: Any) -> bool:
    pending = [annotation]
    for part in pending:  # grows while it is walked
        origin = typing.get_origin(part)
        if origin in (list, tuple, dict, frozenset, typing.Union, types.UnionType):
            pending.extend(typing.get_args(part))
        elif origin is Annotated:
            pending.append(typing.get_args(part)[0])
        elif origin is not typing.Literal and not _is_plain(part):
            return False
    return True


def _is_plain(annotation: Any) -> bool:
    if annotation in (*STRICT, Any, Ellipsis, None, types.NoneType):
        return True
    return isinstance(annotation, type) and issubclass(annotation, (enum.Enum, BaseModel))
