"""Frozen data that says what kind it is: the members of unions that are told apart by `kind`. No torch."""

from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Tagged(BaseModel):
    """A member of a union; subclasses have a field `kind` with one literal as its type and default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_serializer(mode="wrap")
    def _with_kind(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Without its kind a dump that leaves defaults out could not be read again.
        return {"kind": type(self).model_fields["kind"].default, **dump(self)}
