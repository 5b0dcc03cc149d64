"""Nodes: a frozen pydantic model whose fields are input ports, and what running it gives.

    class VaeDecode(Node[ImageOut], type="sd.vae_decode", version=1):
        \"\"\"Decode latents to an RGB image.\"\"\"

        vae: In[Vae]
        latents: In[Latents]

        def run(self, ctx: RunContext) -> ImageOut: ...

The class docstring is the node's tooltip, a docstring below a field is the port's help.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, dataclass_transform, get_type_hints

from pydantic import BaseModel, ConfigDict

from sdgraph.core.context import RunContext
from sdgraph.core.port import Out
from sdgraph.errors import RegistryError

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass

    from sdgraph.core.infer import Known
    from sdgraph.core.workflow import Workflow
else:
    ModelMetaclass = type(BaseModel)

Lane = Literal["device", "cpu", "io"]
"""Where a node runs: one thread per device, the pool for computing, or the pool for waiting."""


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Outputs:
    """Base of what nodes return: each field is an output port.

    While a workflow is written, an instance stands for results to come and its fields are links.
    """

    __ports__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        own = [name for name in cls.__annotations__ if not name.startswith("_")]
        cls.__ports__ = (*(name for name in cls.__ports__ if name not in own), *own)

    def __init__(self, **values: Any) -> None:
        if values.keys() != set(self.__ports__):
            raise TypeError(f"{type(self).__name__} takes exactly {list(self.__ports__)}, not {sorted(values)}")
        for name, value in values.items():
            setattr(self, name, value)  # so that instances share the table of their names, which is half of their size

    @classmethod
    def port_types(cls) -> dict[str, Any]:
        """Each output's declared type, in order: the `T` of its `Out[T]`."""
        hints = get_type_hints(cls, include_extras=True)
        return {name: _argument(cls, name, hints[name]) for name in cls.__ports__}


def _argument(cls: type[Outputs], name: str, hint: Any) -> Any:
    if getattr(hint, "__origin__", None) is not Out:
        raise RegistryError(
            "output-annotation",
            f"{cls.__name__}.{name} is annotated {hint!r}, expected Out[...].",
            "Write it as `name: Out[Type]`.",
        )
    return hint.__args__[0]


O_co = TypeVar("O_co", bound=Outputs, covariant=True)


@dataclass_transform(kw_only_default=True, frozen_default=True)
class _NodeMeta(ModelMetaclass):
    """pydantic's metaclass, for type checkers: whatever a field is assigned, `port(20)` included, is its default."""


class Node(BaseModel, Generic[O_co], metaclass=_NodeMeta):
    """A unit of work. Subclasses name their type and version in the class statement:

    `type`: stable id such as "sd.vae_decode"; `version`: raise it when the same inputs give another result;
    `keep`: True to store the result even where computing it is cheaper, because people look for it as a hit;
    `lane`: where it runs; `cache`: False for results made anew in every run (light handles), while the keys after it
    stay the same; `fold`: True for nodes over plain values that are so cheap that the planner computes them; `cutoff`:
    True for cheap, deterministic nodes whose readers are keyed by the value given rather than by how it was made, so
    that an edit that changes nothing in it runs nothing after it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True)

    node_type: ClassVar[str] = ""
    node_version: ClassVar[int] = 0
    node_lane: ClassVar[Lane] = "cpu"
    node_cache: ClassVar[bool] = True
    node_keep: ClassVar[bool] = False
    node_fold: ClassVar[bool] = False
    node_cutoff: ClassVar[bool] = False
    outputs_class: ClassVar[type[Outputs]] = Outputs

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__()  # the keywords are for the method below

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        type: str | None = None,
        version: int = 1,
        lane: Lane = "cpu",
        cache: bool = True,
        keep: bool = False,
        fold: bool = False,
        cutoff: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        arguments = cls.__pydantic_generic_metadata__["args"]
        if arguments and not isinstance(arguments[0], TypeVar):
            cls.outputs_class = arguments[0]
        if type is not None:
            cls.node_type, cls.node_version, cls.node_lane = type, version, lane
            cls.node_cache, cls.node_keep, cls.node_fold, cls.node_cutoff = cache, keep, fold, cutoff and cache

    def run(self, ctx: RunContext) -> O_co:
        """Compute the outputs. Every input is a value here; inputs belong to others too and must not be changed."""
        raise RegistryError("node-without-run", f"Node type {self.node_type!r} has neither `run` nor `expand`.")

    def fingerprint(self) -> str | None:
        """Content identity of what the node reads from outside (a file's digest); enters the key.

        Called while planning, with plain values only; ports that it uses need `linkable=False`.
        """
        return None

    def needed(self) -> Iterable[str]:
        """Names of the `lazy` ports that this run really needs, given the values of the others."""
        return ()

    def infer(self, known: "Known") -> Mapping[str, Any]:
        """What is certain about the outputs before anything runs, by output name; what can't be told is left out.

        `known` has what is certain about linked inputs, which read as `Link` here, and takes warnings. Raise an
        SdgraphError, with the port, where it shows that the node can't work. Called by every check, before nodes are
        expanded, so it is quick and imports nothing heavy.
        """
        return {}

    def expand(self, inner: "Workflow") -> O_co | None:
        """Replace the node by smaller ones, each cached on its own.

        Linked inputs read as `Link` here. Add nodes to `inner` and return outputs made of links; None keeps the node.
        """
        return None

    @classmethod
    def upgrade(cls, made_for: int, inputs: dict[str, Any]) -> dict[str, Any]:
        """Bring inputs from a file that was made for the older version `made_for` to this version.

        `inputs` maps port names to values as in the file, or to a PortRef for a link. Override it when a new version
        renames a port or changes what its value means.
        """
        return inputs

    def deliver(self, outputs: Mapping[str, Any], delivery: "Delivery") -> list[Path]:
        """Write files after the result is there, computed or from the cache. Returns the paths written."""
        return []


class Delivery:
    """Where and how a node's `deliver` writes: the folder, and the metadata that every picture carries."""

    def __init__(self, folder: Path, metadata: Mapping[str, str], values: Mapping[str, Any]) -> None:
        self.folder = folder
        self.metadata = metadata
        self.values = values
        """The node's plain values, those of unkeyed ports included."""
