"""Ports: the typed places where values enter and leave a node.

`In[T]` and `Out[T]` are annotations on the fields of nodes and of their outputs. To the type checker an `In[T]` field
accepts a `T` or a `Link[T]` at construction and reads as `T`; an `Out[T]` field takes a `T` at construction and reads
as a `Link[T]`, which is what the next node's constructor wants.
"""

from dataclasses import dataclass, is_dataclass
from types import UnionType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, Union, get_args, get_origin, overload

from pydantic import Field, GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class PortRef(NamedTuple):
    """An output of a node: `node.port` in the workflow file."""

    node: str
    port: str

    def __str__(self) -> str:
        return f"{self.node}.{self.port}"


@dataclass(frozen=True, slots=True)
class Link(Generic[T_co]):
    """A value that another node's output will have, as seen while a workflow is written."""

    node: str
    port: str

    @property
    def ref(self) -> PortRef:
        return PortRef(self.node, self.port)


class In(Generic[T]):
    """Annotation of an input port: `steps: In[int] = port(20, ge=1)`."""

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> "In[T]": ...
        @overload
        def __get__(self, instance: object, owner: type) -> T: ...
        def __get__(self, instance: object, owner: type) -> Any: ...
        def __set__(self, instance: object, value: T | Link[T]) -> None: ...

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        annotation = get_args(source)[0]
        members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
        if any(is_dataclass(member) for member in members):
            # Payloads are taken as they are; pydantic would look into dataclasses, copy them and need their types.
            accepted: list[Any] = [core_schema.is_instance_schema(member) for member in (Link, *members)]
            return core_schema.union_schema(accepted, mode="left_to_right")
        link = core_schema.is_instance_schema(Link)
        return core_schema.union_schema([link, handler.generate_schema(annotation)], mode="left_to_right")


class Out(Generic[T]):
    """Annotation of an output port: `image: Out[Image]`."""

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> "Out[T]": ...
        @overload
        def __get__(self, instance: object, owner: type) -> Link[T]: ...
        def __get__(self, instance: object, owner: type) -> Any: ...
        def __set__(self, instance: object, value: T) -> None: ...


@dataclass(frozen=True, slots=True)
class PortMeta:
    """What a port says beside its type and constraints."""

    unit: str | None = None
    """Unit of a number, shown behind it: "px", "steps"."""
    widget: str | None = None
    """A hint for editors: "multiline", "seed", "file", "curve", "stages"."""
    keyed: bool = True
    """False: the value never enters the cache key, because only delivery depends on it (a file name), or because the
    node's fingerprint stands for it (a model's path)."""
    linkable: bool = True
    """False: the value must be known before the run (a model's source), so it can't come from another node."""
    lazy: bool = False
    """True: what feeds it runs only if the node's `needed()` asks for it."""
    constraints: tuple[tuple[str, Any], ...] = ()
    """pydantic constraints of the value (`ge`, `multiple_of`, ...); checked with the graph, all at once."""


_PLAIN = PortMeta()


def port(
    default: Any = ...,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    multiple_of: float | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    unit: str | None = None,
    widget: str | None = None,
    keyed: bool = True,
    linkable: bool = True,
    lazy: bool = False,
    title: str | None = None,
) -> Any:
    """Describe an input port: its default (none: required), its constraints and what editors show.

    `keyed`, `linkable` and `lazy` are explained at `PortMeta`.
    """
    bounds = {
        "ge": ge,
        "gt": gt,
        "le": le,
        "lt": lt,
        "multiple_of": multiple_of,
        "min_length": min_length,
        "max_length": max_length,
    }
    constraints = tuple((name, bound) for name, bound in bounds.items() if bound is not None)
    meta = PortMeta(unit, widget, keyed, linkable, lazy, constraints)
    field: FieldInfo = Field(default, title=title)
    field.metadata.append(meta)
    return field


def port_meta(field: FieldInfo) -> PortMeta:
    """The `PortMeta` that `port()` attached to a field, or the plain one."""
    return next((part for part in field.metadata if isinstance(part, PortMeta)), _PLAIN)
