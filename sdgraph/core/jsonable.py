"""Plain values as they stand in a workflow file."""

from __future__ import annotations

import typing
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def jsonable(value: Any) -> Any:
    """The value as JSON data; fields of models that equal their default are left out.

    A field with a single possible value (the tag of a union) always stays: it says which model this is.
    Raises TypeError for anything but numbers, text, choices, models and collections of these.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Enum):
        return jsonable(value.value)
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            name: jsonable(part) for name, part in value if _is_tag(fields[name]) or not is_default(fields[name], part)
        }
    if isinstance(value, (list, tuple)):
        return [jsonable(part) for part in value]
    if isinstance(value, dict):
        return {str(name): jsonable(part) for name, part in value.items()}
    raise TypeError(f"a {type(value).__name__} can't stand in a workflow file")


def is_default(field: FieldInfo, value: Any) -> bool:
    """Whether the value of a model's field is the one that it has when nobody gives it."""
    default = field.get_default(call_default_factory=True, validated_data={})
    return type(default) is type(value) and default == value


def _is_tag(field: FieldInfo) -> bool:
    return typing.get_origin(field.annotation) is typing.Literal and len(typing.get_args(field.annotation)) == 1
