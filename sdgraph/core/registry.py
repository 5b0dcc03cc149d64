"""The node types that are known here, by type id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any

from sdgraph.core.pack import NodePack
from sdgraph.core.porttype import VALUE_NAMES, PortType
from sdgraph.core.spec import NodeSpec
from sdgraph.core.specbuild import build_spec
from sdgraph.errors import Problem, RegistryError

ENTRY_POINT_GROUP = "sdgraph.packs"


class Registry:
    """Collects packs. A type id or port type that is taken is an error, never an override."""

    def __init__(self, packs: Iterable[NodePack] = ()) -> None:
        self.specs: dict[str, NodeSpec] = {}
        self.port_types: dict[str, PortType[Any]] = {}
        self.services: dict[type, Callable[[], object]] = {}
        self.packs: dict[str, NodePack] = {}
        self.problems: list[Problem] = []
        for pack in packs:
            self.add(pack)

    @classmethod
    def installed(cls) -> Registry:
        """All packs of the installed distributions. One that fails to import is a problem, and stops nothing else."""
        registry = cls()
        for point in sorted(
            entry_points(group=ENTRY_POINT_GROUP), key=lambda found: (found.name != "builtin", found.name)
        ):
            try:
                registry.add(point.load())
            except RegistryError as error:
                registry.problems.append(error.problem)
            except Exception as error:  # a pack's module may fail in any way
                registry.problems.append(
                    Problem(
                        "pack-import-failed",
                        f"Node pack {point.name!r} ({point.value}) failed to import: {type(error).__name__}: {error}.",
                        "Update or uninstall it; the other packs work.",
                    )
                )
        return registry

    def add(self, pack: NodePack) -> None:
        """Add all of a pack, or nothing of it. Raises RegistryError."""
        if pack.name in self.packs:
            raise RegistryError(
                "pack-duplicate", f"There is a pack {pack.name!r} already.", "Give one of the two another name."
            )
        port_types = _by_name(pack, self.port_types)
        by_class: Mapping[type, PortType[Any]] = {kind.python_type: kind for kind in port_types.values()}
        specs: dict[str, NodeSpec] = {}
        for node in pack.nodes:
            spec = build_spec(node, by_class, pack.name)
            taken = self.specs.get(spec.type) or specs.get(spec.type)
            if taken is not None:
                raise RegistryError(
                    "node-type-duplicate",
                    f"Pack {pack.name!r} defines node type {spec.type!r}, which pack {taken.pack!r} already has.",
                    "Give the type a prefix of its own.",
                )
            specs[spec.type] = spec
        for service in pack.services.keys() & self.services.keys():
            raise RegistryError(
                "service-duplicate",
                f"Pack {pack.name!r} provides {service.__name__}, which another pack already provides.",
                "Use the existing service, or a class of your own.",
            )
        self.port_types = port_types
        self.specs.update(specs)
        self.services.update(pack.services)
        self.packs[pack.name] = pack

    def spec_of(self, node_class: type[Any]) -> NodeSpec:
        """The spec of a registered node class. Raises RegistryError [node-type-unknown]."""
        spec = self.specs.get(node_class.node_type)
        if spec is None or spec.cls is not node_class:
            raise RegistryError(
                "node-type-unknown",
                f"Node class {node_class.__name__} is not registered.",
                "Add its pack to the registry.",
            )
        return spec


def _by_name(pack: NodePack, known: Mapping[str, PortType[Any]]) -> dict[str, PortType[Any]]:
    found = dict(known)
    for kind in pack.port_types:
        same = found.setdefault(kind.name, kind)
        taken = same is not kind or kind.name in VALUE_NAMES
        if taken or any(other.python_type is kind.python_type and other is not kind for other in found.values()):
            raise RegistryError(
                "port-type-duplicate",
                f"Pack {pack.name!r} defines port type {kind.name!r}, but its name or its class has a type already.",
                "Use the existing type, or another name.",
            )
    return found
